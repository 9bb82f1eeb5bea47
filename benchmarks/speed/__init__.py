"""How fast clusterseq is: each figure beside a rival or a floor measured in the same run."""
