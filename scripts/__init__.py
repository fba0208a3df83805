"""What a person types in a checkout: one small file per act. Its Python needs the standard library only."""
