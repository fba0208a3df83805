"""What the owner reads on Telegram and on the dashboard, in English and Spanish.

The catalogues are ordinary gettext ``.po`` files. They are read when a process first needs one:
no compiled copy exists that could be out of date.
"""

from master.locale.catalogues import LANGUAGES, choose_language, translations_for

__all__ = ["LANGUAGES", "choose_language", "translations_for"]
