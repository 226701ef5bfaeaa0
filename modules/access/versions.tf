# No provider: what comes in are names, what goes out are policy documents.
terraform {
  required_version = ">= 1.9"
}
