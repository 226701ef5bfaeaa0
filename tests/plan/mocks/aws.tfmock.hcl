# What AWS would answer, as far as the plans of the root module depend on it.

mock_data "aws_partition" {
  defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
}

mock_data "aws_region" {
  defaults = { id = "us-west-2" }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "111122223333" }
}

mock_data "aws_availability_zones" {
  defaults = { names = ["us-west-2a", "us-west-2b", "us-west-2c"] }
}

mock_data "aws_iam_policy_document" {
  defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
}

mock_data "aws_ssm_parameters_by_path" {
  defaults = { values = [] }
}

# Of the shape MWAA supports: the environment's key is one.
mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
}

mock_resource "aws_kms_replica_key" {
  defaults = { arn = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::111122223333:role/mocked" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:us-west-2:111122223333:log-group:mocked" }
}

mock_resource "aws_sfn_state_machine" {
  defaults = { arn = "arn:aws:states:us-west-2:111122223333:stateMachine:mocked" }
}

mock_resource "aws_lambda_function" {
  defaults = { arn = "arn:aws:lambda:us-west-2:111122223333:function:mocked" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:us-west-2:111122223333:mocked" }
}

mock_resource "aws_security_group" {
  defaults = { arn = "arn:aws:ec2:us-west-2:111122223333:security-group/sg-mocked", id = "sg-mocked" }
}

mock_resource "aws_vpc" {
  defaults = { id = "vpc-mocked" }
}

mock_data "aws_subnet" {
  defaults = { vpc_id = "vpc-mocked" }
}
