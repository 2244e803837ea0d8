"""What one writes for problems of one's own: at most 40 lines each, of documented names alone.

own_op.py            an op, checked against central differences
own_loss.py          a loss for labels that are not all right
own_optimizer.py     an optimizer
training_options.py  schedule, clipping, weight decay, early stopping
many_runs.py         150 runs at once, each with a learning rate of its own
bands.py             a curve with bands: scatter, and what nobody has measured
recurrent.py         a recurrent network
attention.py         a network that attends
digits.py            digits of 8 x 8 pixels, from an .npz file
images.py            images as images: rows, columns and channels
live.ipynb           a notebook: what things look like, and a line that updates
"""
