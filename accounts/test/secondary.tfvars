region            = "us-west-2"
role              = "secondary"
environment_owner = "lifecycle"
cidr              = "10.1.0.0/16"
peer              = { region = "us-east-1" }
