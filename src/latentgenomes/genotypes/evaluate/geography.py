"""How well places are told from genotypes: distances on the globe, and explained variance."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_EARTH_KM = 6371.0088  # mean radius


def great_circle_km(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    """Distance of places on a sphere of the earth's mean radius.

    Parameters
    ----------
    first, second : array of shape (n, 2)
        Longitude and latitude in degrees.

    Returns
    -------
    ndarray of shape (n,)
        In kilometres, 0 to 20,015.

    References
    ----------
    Sinnott 1984, Virtues of the haversine, Sky and Telescope 68:159.
    """
    start, end = (np.radians(np.asarray(places, dtype=np.float64)) for places in (first, second))
    half = np.sin((end - start) / 2) ** 2
    share = half[:, 1] + np.cos(start[:, 1]) * np.cos(end[:, 1]) * half[:, 0]
    return np.asarray(2 * _EARTH_KM * np.arcsin(np.sqrt(np.clip(share, 0, 1))), dtype=np.float64)


def place_scores(true: npt.ArrayLike, predicted: npt.ArrayLike) -> dict[str, float]:
    """Scores of predicted places.

    Parameters
    ----------
    true, predicted : array of shape (n, 2)
        Longitude and latitude in degrees.

    Returns
    -------
    dict of str to float
        r2_longitude and r2_latitude (1 minus squared error over variance; below 0 when worse than the mean
        of the true ones), median_km.

    Raises
    ------
    ValueError
        If the shapes differ or are not (n, 2), or all true places are one.
    """
    places, guesses = (np.asarray(table, dtype=np.float64) for table in (true, predicted))
    if places.shape != guesses.shape or places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(
            f"Places must be two tables (n, 2) of one shape, but they are {places.shape} and "
            f"{guesses.shape}. Pass "
            "longitude and latitude of each sample."
        )
    variance = places.var(axis=0)
    if (variance == 0).any():
        raise ValueError(
            "Places must differ in longitude and latitude, but one is the same for all. Add samples."
        )
    r2 = 1 - ((places - guesses) ** 2).mean(axis=0) / variance
    distance = float(np.median(great_circle_km(places, guesses)))
    return {"r2_longitude": float(r2[0]), "r2_latitude": float(r2[1]), "median_km": distance}
