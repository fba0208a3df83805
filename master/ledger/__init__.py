"""The money: integer minor units with a currency."""
