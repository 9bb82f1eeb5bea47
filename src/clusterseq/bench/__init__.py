"""ClusterSeq beside all its peers: every model, data set and seed under one protocol, resumably."""
