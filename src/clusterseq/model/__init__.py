"""The network of ClusterSeq, part by part."""
