"""Keys, transactions and leases, with etcd's data model."""
