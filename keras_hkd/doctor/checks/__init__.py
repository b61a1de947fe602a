"""The checks of the doctor, each a function in a file of its own."""
