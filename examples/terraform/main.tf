# Makes from the plan's JSON the real-time endpoint, with its data capture and autoscaling; use this or `python -m deploy
# up`, not both.
#
#   python -m deploy plan deployment.toml --json > plan.json
#   terraform init && terraform apply -var plan=plan.json
#
# `terraform destroy` ends it. Terraform trains and measures nothing: serve the model that is in the image (train = false)
# or one in S3 (model_data), and set invocations_per_minute. volume_key and kms_key must be ARNs. What is not taken is
# refused: a shadow variant, fallback types. There is no alarm that rolls an update back.
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
  sections = ["realtime", "scaling"]
  steps    = { for step in local.plan.steps : step.kind => step... if contains(local.sections, step.section) && step.action != "delete" }
  model    = local.steps["model"][0].request
  config   = local.steps["endpoint config"][0].request
  endpoint = local.steps["endpoint"][0].name
  variant  = local.config.ProductionVariants[0]
  scaling  = try(local.steps["autoscaling"][0].request, {})
  tracking = try(local.scaling.put_scaling_policy.TargetTrackingScalingPolicyConfiguration, {})
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
    instance_type                                     = try(local.variant.InstanceType, null)
    initial_instance_count                            = local.variant.InitialInstanceCount
    container_startup_health_check_timeout_in_seconds = local.variant.ContainerStartupHealthCheckTimeoutInSeconds
  }

  dynamic "data_capture_config" {
    for_each = can(local.config.DataCaptureConfig) ? [local.config.DataCaptureConfig] : []
    content {
      enable_capture              = true
      initial_sampling_percentage = data_capture_config.value.InitialSamplingPercentage
      destination_s3_uri          = data_capture_config.value.DestinationS3Uri
      kms_key_id                  = try(data_capture_config.value.KmsKeyId, null)

      dynamic "capture_options" {
        for_each = data_capture_config.value.CaptureOptions
        content {
          capture_mode = capture_options.value.CaptureMode
        }
      }

      capture_content_type_header {
        csv_content_types  = data_capture_config.value.CaptureContentTypeHeader.CsvContentTypes
        json_content_types = data_capture_config.value.CaptureContentTypeHeader.JsonContentTypes
      }
    }
  }

  lifecycle {
    create_before_destroy = true # an endpoint keeps its config until the new one serves
    precondition {
      condition     = can(local.variant.InstanceType) && !can(local.config.ShadowProductionVariants)
      error_message = "This example takes no fallback_instance_types and no shadow_tag: use python -m deploy up."
    }
  }
}

resource "aws_sagemaker_endpoint" "endpoint" {
  name                 = local.endpoint
  endpoint_config_name = aws_sagemaker_endpoint_configuration.config.name
  tags                 = local.tags
}

resource "aws_appautoscaling_target" "instances" {
  count              = can(local.scaling.register_scalable_target) ? 1 : 0
  service_namespace  = "sagemaker"
  scalable_dimension = local.scaling.register_scalable_target.ScalableDimension
  resource_id        = "endpoint/${aws_sagemaker_endpoint.endpoint.name}/variant/${local.variant.VariantName}"
  min_capacity       = local.scaling.register_scalable_target.MinCapacity
  max_capacity       = local.scaling.register_scalable_target.MaxCapacity
}

resource "aws_appautoscaling_policy" "invocations" {
  count              = length(aws_appautoscaling_target.instances)
  name               = local.scaling.put_scaling_policy.PolicyName
  policy_type        = local.scaling.put_scaling_policy.PolicyType
  service_namespace  = aws_appautoscaling_target.instances[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.instances[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.instances[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = local.tracking.TargetValue
    scale_in_cooldown  = local.tracking.ScaleInCooldown
    scale_out_cooldown = local.tracking.ScaleOutCooldown

    predefined_metric_specification {
      predefined_metric_type = local.tracking.PredefinedMetricSpecification.PredefinedMetricType
    }
  }

  lifecycle {
    precondition {
      condition     = local.tracking.TargetValue > 0
      error_message = "Nothing was measured: set invocations_per_minute, or max_instances = min_instances."
    }
  }
}
