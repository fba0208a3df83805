"""The Telegram door: announces approval requests and takes the owner's answers.

callbacks.py  what a button carries, signed        commands.py  what a text message asks for
updates.py    what Telegram says, read             texts.py     what we say, in the reader's language
inbox.py      updates stored, then processed once  respond.py   what one update leads to
outbox.py     messages sent, and edited later      messages.py  the rows behind the outbox
poll.py       the loops                            bot.py       all of it, run as one process
"""
