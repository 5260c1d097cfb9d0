"""Where handlers get their figures: ad accounts and creators of the connections of a run."""
