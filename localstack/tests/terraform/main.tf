terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}
variable "endpoint" { type = string }
variable "port" { type = number }

# 1, and 2 for the update in place.
variable "step" {
  type    = number
  default = 1
}

provider "aws" {
  region                  = "us-east-1"
  access_key              = "test"
  secret_key              = "test"
  skip_metadata_api_check = true
  skip_region_validation  = true
  s3_use_path_style       = true
  default_tags {
    tags = { owner = "terraform" }
  }
  endpoints {
    applicationautoscaling = var.endpoint
    cloudwatch             = var.endpoint
    ec2                    = var.endpoint
    ecr                    = var.endpoint
    ecs                    = var.endpoint
    elbv2                  = var.endpoint
    iam                    = var.endpoint
    kafka                  = var.endpoint
    kms                    = var.endpoint
    logs                   = var.endpoint
    rds                    = var.endpoint
    s3                     = var.endpoint
    secretsmanager         = var.endpoint
    servicediscovery       = var.endpoint
    sns                    = var.endpoint
    ssm                    = var.endpoint
    sts                    = var.endpoint
  }
}

resource "aws_vpc" "v" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "v${var.step}" }
}
resource "aws_subnet" "s" {
  count                   = 2
  vpc_id                  = aws_vpc.v.id
  cidr_block              = "10.0.${count.index}.0/24"
  availability_zone       = ["us-east-1a", "us-east-1b"][count.index]
  map_public_ip_on_launch = true
}
resource "aws_internet_gateway" "g" { vpc_id = aws_vpc.v.id }
resource "aws_eip" "e" { domain = "vpc" }
resource "aws_nat_gateway" "n" {
  subnet_id     = aws_subnet.s[0].id
  allocation_id = aws_eip.e.id
  depends_on    = [aws_internet_gateway.g]
}
resource "aws_route_table" "public" {
  vpc_id = aws_vpc.v.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.g.id
  }
}
resource "aws_route_table" "private" { vpc_id = aws_vpc.v.id }
resource "aws_route" "r" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.n.id
}
resource "aws_route_table_association" "a" {
  subnet_id      = aws_subnet.s[0].id
  route_table_id = aws_route_table.public.id
}
resource "aws_route_table_association" "b" {
  subnet_id      = aws_subnet.s[1].id
  route_table_id = aws_route_table.private.id
}
resource "aws_security_group" "inline" {
  name   = "inline"
  vpc_id = aws_vpc.v.id
  ingress {
    from_port   = 80
    to_port     = 80 + var.step
    protocol    = "tcp"
    cidr_blocks = ["10.0.0.0/8"]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
resource "aws_security_group" "bare" {
  name   = "bare"
  vpc_id = aws_vpc.v.id
}
resource "aws_security_group_rule" "r" {
  security_group_id        = aws_security_group.bare.id
  type                     = "ingress"
  from_port                = 443
  to_port                  = 443
  protocol                 = "tcp"
  source_security_group_id = aws_security_group.inline.id
}
resource "aws_vpc_security_group_ingress_rule" "i" {
  security_group_id = aws_security_group.bare.id
  from_port         = 8000
  to_port           = 8000 + var.step
  ip_protocol       = "tcp"
  cidr_ipv4         = "10.0.0.0/8"
}
resource "aws_vpc_security_group_egress_rule" "e" {
  security_group_id = aws_security_group.bare.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}
resource "aws_vpc_endpoint" "s3" {
  vpc_id          = aws_vpc.v.id
  service_name    = "com.amazonaws.us-east-1.s3"
  route_table_ids = var.step == 1 ? [aws_route_table.private.id] : [aws_route_table.private.id, aws_route_table.public.id]
}
resource "aws_lb" "lb" {
  name            = "lb"
  subnets         = aws_subnet.s[*].id
  security_groups = [aws_security_group.inline.id]
  idle_timeout    = 60 + var.step
}
resource "aws_lb_target_group" "t" {
  name                 = "t"
  port                 = 80
  protocol             = "HTTP"
  vpc_id               = aws_vpc.v.id
  target_type          = "ip"
  deregistration_delay = 10 + var.step
  health_check { path = "/health${var.step}" }
}
resource "aws_lb_listener" "l" {
  load_balancer_arn = aws_lb.lb.arn
  port              = var.port
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.t.arn
  }
}
resource "aws_lb_listener_rule" "r" {
  listener_arn = aws_lb_listener.l.arn
  priority     = 10 + var.step
  condition {
    path_pattern { values = ["/api/*"] }
  }
  action {
    type = "redirect"
    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}
resource "aws_db_subnet_group" "d" {
  name       = "d"
  subnet_ids = aws_subnet.s[*].id
}
resource "aws_db_parameter_group" "p" {
  name   = "p"
  family = "postgres15"
  parameter {
    name  = "work_mem"
    value = 8192 * var.step
  }
  parameter {
    name         = "max_connections"
    value        = "200"
    apply_method = "pending-reboot"
  }
}
resource "aws_msk_configuration" "m" {
  name              = "m"
  kafka_versions    = ["3.9.x"]
  server_properties = "auto.create.topics.enable = ${var.step == 1}\n"
}
data "aws_vpc" "default" { default = true }
data "aws_prefix_list" "s3" { name = "com.amazonaws.us-east-1.s3" }

resource "aws_iam_role" "task" {
  name               = "tf-task"
  description        = "step ${var.step}"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" } }] })
}
resource "aws_iam_role_policy" "inline" {
  name   = "inline"
  role   = aws_iam_role.task.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "s3:GetObject", Resource = "*", Sid = "Step${var.step}" }] })
}
resource "aws_iam_policy" "managed" {
  name   = "tf-managed"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sns:Publish", Resource = "*", Sid = "Step${var.step}" }] })
}
resource "aws_iam_role_policy_attachment" "managed" {
  role       = aws_iam_role.task.name
  policy_arn = aws_iam_policy.managed.arn
}
resource "aws_iam_instance_profile" "profile" {
  name = "tf-profile"
  role = aws_iam_role.task.name
}
resource "aws_kms_key" "key" {
  description             = "step ${var.step}"
  deletion_window_in_days = 7
}
resource "aws_kms_alias" "alias" {
  name          = "alias/tf"
  target_key_id = aws_kms_key.key.key_id
}
resource "aws_sns_topic" "topic" {
  name         = "tf-topic"
  display_name = "step ${var.step}"
}
resource "aws_secretsmanager_secret" "secret" {
  name                    = "tf-secret"
  description             = "step ${var.step}"
  recovery_window_in_days = 0
}
resource "aws_secretsmanager_secret_version" "secret" {
  secret_id     = aws_secretsmanager_secret.secret.id
  secret_string = "value ${var.step}"
}
resource "aws_ssm_parameter" "parameter" {
  name  = "/tf/parameter"
  type  = "String"
  value = "step ${var.step}"
}
resource "aws_cloudwatch_log_group" "logs" {
  name              = "/tf/logs"
  retention_in_days = var.step == 1 ? 7 : 14
}
resource "aws_cloudwatch_log_metric_filter" "errors" {
  name           = "errors"
  log_group_name = aws_cloudwatch_log_group.logs.name
  pattern        = "ERROR"
  metric_transformation {
    name      = "errors"
    namespace = "tf"
    value     = "1"
  }
}
resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "tf-errors"
  namespace           = "tf"
  metric_name         = "errors"
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.step
  period              = 60
  evaluation_periods  = 1
}
resource "aws_cloudwatch_dashboard" "dashboard" {
  dashboard_name = "tf"
  dashboard_body = jsonencode({ widgets = [{ type = "text", width = 6, height = 3, properties = { markdown = "step ${var.step}" } }] })
}
resource "aws_ecr_repository" "images" {
  name                 = "tf/images"
  image_tag_mutability = var.step == 1 ? "MUTABLE" : "IMMUTABLE"
}
resource "aws_ecr_lifecycle_policy" "images" {
  repository = aws_ecr_repository.images.name
  policy     = jsonencode({ rules = [{ rulePriority = 1, selection = { tagStatus = "untagged", countType = "imageCountMoreThan", countNumber = var.step }, action = { type = "expire" } }] })
}
resource "aws_ecs_cluster" "cluster" {
  name = "tf-cluster"
  setting {
    name  = "containerInsights"
    value = var.step == 1 ? "disabled" : "enabled"
  }
}
resource "aws_ecs_cluster_capacity_providers" "fargate" {
  cluster_name       = aws_ecs_cluster.cluster.name
  capacity_providers = ["FARGATE"]
}
resource "aws_ecs_task_definition" "task" {
  family                   = "tf-task"
  cpu                      = "256"
  memory                   = var.step == 1 ? "512" : "1024"
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  container_definitions    = jsonencode([{ name = "main", image = "${aws_ecr_repository.images.repository_url}:1", essential = true, portMappings = [{ containerPort = 80 }] }])
}
resource "aws_ecs_service" "service" {
  name            = "tf-service"
  cluster         = aws_ecs_cluster.cluster.id
  task_definition = aws_ecs_task_definition.task.arn
  desired_count   = 0
  launch_type     = "FARGATE"
  network_configuration {
    subnets         = aws_subnet.s[*].id
    security_groups = [aws_security_group.inline.id]
  }
  service_registries { registry_arn = aws_service_discovery_service.name.arn }
  load_balancer {
    target_group_arn = aws_lb_target_group.t.arn
    container_name   = "main"
    container_port   = 80
  }
  depends_on = [aws_lb_listener.l]
}
resource "aws_appautoscaling_target" "service" {
  service_namespace  = "ecs"
  resource_id        = "service/${aws_ecs_cluster.cluster.name}/${aws_ecs_service.service.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = 0
  max_capacity       = var.step
}
resource "aws_appautoscaling_policy" "service" {
  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.service.service_namespace
  resource_id        = aws_appautoscaling_target.service.resource_id
  scalable_dimension = aws_appautoscaling_target.service.scalable_dimension
  target_tracking_scaling_policy_configuration {
    target_value = 40 + var.step
    predefined_metric_specification { predefined_metric_type = "ECSServiceAverageCPUUtilization" }
  }
}
resource "aws_service_discovery_private_dns_namespace" "local" {
  name = "tf.local"
  vpc  = aws_vpc.v.id
}
resource "aws_service_discovery_service" "name" {
  name = "name"
  dns_config {
    namespace_id = aws_service_discovery_private_dns_namespace.local.id
    dns_records {
      type = "A"
      ttl  = 10 * var.step
    }
  }
}
resource "aws_s3_bucket" "bucket" {
  bucket        = "tf-bucket"
  force_destroy = true
}
resource "aws_s3_bucket_public_access_block" "bucket" {
  bucket              = aws_s3_bucket.bucket.id
  block_public_acls   = true
  block_public_policy = true
}
resource "aws_s3_bucket_lifecycle_configuration" "bucket" {
  bucket = aws_s3_bucket.bucket.id
  rule {
    id     = "expire"
    status = "Enabled"
    filter {}
    expiration { days = 10 * var.step }
  }
}
resource "aws_db_instance" "database" {
  identifier           = "tf-database"
  engine               = "postgres"
  instance_class       = "db.t4g.micro"
  allocated_storage    = 20
  username             = "owner"
  password             = "not-a-secret-${var.step}"
  db_subnet_group_name = aws_db_subnet_group.d.name
  skip_final_snapshot  = true
  apply_immediately    = true
}
