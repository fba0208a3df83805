"""The Telegram door: announces approval requests and takes the owner's answers.

callbacks.py  what a button carries, signed        commands.py  what a text message asks for
updates.py    what Telegram says, read             amounts.py   what something cost, as people type it
inbox.py      updates stored, then processed once  months.py    which month they mean
process.py    one update, in one transaction       refusals.py  what was not accepted, counted
respond.py    what one update leads to             acting.py    what a person does about a request
announce.py   whom to tell what, and when          contact.py   when Telegram was last heard from
outbox.py     messages sent, and edited later      messages.py  the rows behind the outbox
content.py    a message as it is sent              media.py     evidence: images and files
cards.py      a request as its reader sees it      texts.py     all else that we say (speech.py: its words)
pacing.py     how fast we may speak                api.py       the Bot API
poll.py       the loops                            webhook.py   updates that are brought (webhook_routes.py)
bot.py        all of it, run as one process        ways.py      what answers need (spending.py, status.py)
wake.py       a run that was woken is heard at once
"""
