"""What the commands share: how they are told what to do, where they write, and how they end.

arguments.py   the options that several have, and what the values of options may be
ending.py      one line and the right exit status, whatever ends a command
memory.py      what is too large for the machine is refused before it is drawn
terminal.py    its width, and colours where it has them
workers.py     processes that help, and that end when the command does
output.py      the files of a run, which appear all at once or not at all
"""
