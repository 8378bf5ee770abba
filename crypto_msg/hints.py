"""What to do about something that was sealed, signed or carried wrongly: words that several checks share."""

DO_NOT_RELY = "Do not rely on it: ask the originator to send it again."
SYNCHRONISE = "Synchronise and try again; if it stays so, tell headquarters."
