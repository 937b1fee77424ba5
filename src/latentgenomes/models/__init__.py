"""Models: one file holds the equations as a module and the scikit-learn estimator over it."""
