"""How the shipped models were made: `python -m recipes NAME --output FOLDER`."""
