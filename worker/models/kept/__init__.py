"""Answers that are kept: an equal question is answered without computing it again (docs/models.md)."""

#: Environment variable with the address of the Redis through which several servers share their kept
#: answers. Not an option: everybody on a machine sees a command line, and the address holds a password.
CACHE_URL_VARIABLE = "D8_CACHE_URL"
