"""The page: the comparison as one file that answers to the mouse.

build.py    what the page knows, and how it is packed
page.html   its skeleton; page.css its looks

Its behaviour, in reading order; the page holds them in one script:

state.js    what is known and looked at, markers, probabilities
maps.js     the linked maps
tables.js   ranking, confusions, masks
curves.js   loss and accuracy
page.js     the player, and all of it
"""
