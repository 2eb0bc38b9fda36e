#!/bin/sh
# LocalStack runs this when it is ready (docker-compose.yml mounts the folder): brings the fresh account to where an AWS account is
# that has been used, and says what this licence lacks, before a deployment finds out half-way.
set -u

# The roles that AWS makes at the first use of a service; CloudFormation expects them there.
for service in ecs elasticloadbalancing rds kafka ecs.application-autoscaling; do
    awslocal iam create-service-linked-role --aws-service-name "$service.amazonaws.com" >/dev/null 2>&1 || true
done

lacking=
probe() {
    name=$1
    shift
    awslocal "$@" >/dev/null 2>&1 || lacking="$lacking $name"
}
probe cloudformation cloudformation list-stacks
probe ec2 ec2 describe-vpcs
probe ecr ecr describe-repositories
probe ecs ecs list-clusters
probe elbv2 elbv2 describe-load-balancers
probe logs logs describe-log-groups
probe msk kafka list-clusters-v2
probe rds rds describe-db-instances
probe secretsmanager secretsmanager list-secrets
probe servicediscovery servicediscovery list-namespaces
probe ssm ssm describe-parameters
if [ -n "$lacking" ]; then
    echo "deployer: this LocalStack does not offer:$lacking. The plan of LOCALSTACK_AUTH_TOKEN decides that; without one, deploy to the endpoint that deployer embeds."
else
    echo "deployer: every service that the templates use answers."
fi
