# Makes from the plan's JSON what `python -m deploy up` would make in real time; use one of the two, not both.
#
#   python -m deploy plan deployment.toml --json > plan.json
#   terraform init && terraform apply -var plan=plan.json
#
# `terraform destroy` ends it. The training job is not Terraform's: serve the model that is in the image (train = false)
# or one in S3 (model_data).
variable "plan" {
  type        = string
  description = "The file that `python -m deploy plan --json` wrote."
}

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80"
    }
  }
}

locals {
  plan     = jsondecode(file(var.plan))
  steps    = { for step in local.plan.steps : step.kind => step if step.section == "realtime" && step.action != "delete" }
  model    = local.steps["model"].request
  config   = local.steps["endpoint config"].request
  endpoint = local.steps["endpoint"].name
  variant  = local.config.ProductionVariants[0]
  tags     = { for tag in local.model.Tags : tag.Key => tag.Value }
}

provider "aws" {
  region = local.plan.region
}

resource "aws_sagemaker_model" "model" {
  name                     = local.model.ModelName
  execution_role_arn       = local.model.ExecutionRoleArn
  enable_network_isolation = try(local.model.EnableNetworkIsolation, false)
  tags                     = local.tags

  primary_container {
    image          = local.model.PrimaryContainer.Image
    model_data_url = try(local.model.PrimaryContainer.ModelDataUrl, null)
    environment    = local.model.PrimaryContainer.Environment
  }

  dynamic "vpc_config" {
    for_each = can(local.model.VpcConfig) ? [local.model.VpcConfig] : []
    content {
      subnets            = vpc_config.value.Subnets
      security_group_ids = vpc_config.value.SecurityGroupIds
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint_configuration" "config" {
  name        = local.config.EndpointConfigName
  kms_key_arn = try(local.config.KmsKeyId, null)
  tags        = local.tags

  production_variants {
    variant_name                                      = local.variant.VariantName
    model_name                                        = aws_sagemaker_model.model.name
    instance_type                                     = local.variant.InstanceType
    initial_instance_count                            = local.variant.InitialInstanceCount
    container_startup_health_check_timeout_in_seconds = local.variant.ContainerStartupHealthCheckTimeoutInSeconds
  }

  lifecycle {
    create_before_destroy = true # an endpoint keeps its config until the new one serves
  }
}

resource "aws_sagemaker_endpoint" "endpoint" {
  name                 = local.endpoint
  endpoint_config_name = aws_sagemaker_endpoint_configuration.config.name
  tags                 = local.tags
}
