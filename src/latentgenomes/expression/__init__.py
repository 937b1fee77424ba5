"""Expression masking and survival: missing genes restored, types and risks told from few.

`impute`             the missing genes of a matrix, with the error of each
`choose_panel`       the genes to measure so that the others are restored best
`survival`           what genes tell of survival, judged on patients not seen
`simulate`           co-expressed genes of several cancers, with survival
`read_expression`    your own matrix, its scale and gene names found
`GexBERT`            transformer that restores masked genes
`GexBERTClassifier`  cancer types from few genes
`GexBERTSurvival`    risk from expression
`MixtureImputer`     mixture of Gaussians: the best single imputer
`RidgeImputer`       one Gaussian, shrunk
`LocalRidgeImputer`  a Gaussian of the nearest samples
`NeighbourImputer`   k nearest neighbours
`MaskedRestorer`     network that restores masked genes
`StackedImputer`     a weighted mean of imputers
`CoxRegression`      ridge Cox regression
"""

from latentgenomes.core.doors import open_door

open_door(__name__)
