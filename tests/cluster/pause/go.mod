module headgate.invalid/tests/cluster/pause

go 1.25.0
