region            = "us-east-1"
role              = "primary"
environment_owner = "terraform"
cidr              = "10.0.0.0/16"
