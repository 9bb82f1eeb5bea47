"""How fast clusterseq is: each figure beside a rival or a floor that was measured in the same run."""
