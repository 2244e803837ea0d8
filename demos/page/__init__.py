"""The page: the comparison as one file that answers to the mouse.

build.py    what the page knows, and how it is packed
page.html   its skeleton; page.css its looks, page.js its behaviour
"""
