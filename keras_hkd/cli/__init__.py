"""The command line `keras-hkd`: one file per command, each loaded only when it is called."""
