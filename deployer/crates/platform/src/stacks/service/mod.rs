//! One service's stack: log group, roles, task definition, ECS service, and its place behind the load balancer.

mod alarms;
mod container;
mod ingress;
mod roles;
mod scaling;

pub use alarms::{CONSUMER_LAG, OUTBOX_AGE, has_outbox, namespace};
use serde_json::{Value, json};

use super::inputs::Inputs;
use super::links::{self, Group};
use super::{Parameter, Source, Stack, data, kms, name_of, registry};
use crate::manifest::{Manifest, Service};
use cfn::template::{Resource, Template};

/// A template with the parameters that deployer fills.
struct Parts<'a> {
    manifest: &'a Manifest,
    service: &'a Service,
    template: Template,
    inputs: Inputs,
}

pub fn stack(manifest: &Manifest, service: &Service) -> Stack {
    let mut parts = Parts {
        manifest,
        service,
        template: Template::new(format!("{}: {}", manifest.prefix(), service.name)),
        inputs: Inputs::default(),
    };
    let image = parts.image();
    let cluster = parts.output_of("ClusterName", "String", "The ECS cluster", "platform");
    let key = parts.key();
    let logs = Resource::new("AWS::Logs::LogGroup")
        .with("LogGroupName", format!("/ecs/{}/{}", manifest.prefix(), service.name))
        .with("RetentionInDays", service.log_retention_days)
        .deleted();
    let logs = parts
        .template
        .add("LogGroup", kms::encrypting(logs, "KmsKeyId", key, "CKV_AWS_158"));
    let secrets = parts.secrets();
    let task_role = roles::task(&mut parts);
    let execution_role = roles::execution(&mut parts, &logs, &secrets);
    let container = container::definition(&mut parts, image, &logs, &secrets);
    let task = parts.template.add(
        "TaskDefinition",
        Resource::new("AWS::ECS::TaskDefinition")
            .with("Family", format!("{}-{}", manifest.prefix(), service.name))
            .with("Cpu", service.cpu.to_string())
            .with("Memory", service.memory.to_string())
            .with("NetworkMode", "awsvpc")
            .with("RequiresCompatibilities", json!(["FARGATE"]))
            .with(
                "RuntimePlatform",
                json!({ "CpuArchitecture": "X86_64", "OperatingSystemFamily": "LINUX" }),
            )
            .with("ExecutionRoleArn", execution_role.attribute("Arn"))
            .with("TaskRoleArn", task_role.attribute("Arn"))
            .with("ContainerDefinitions", json!([container])),
    );
    let registry = parts.registry();
    let network = parts.network();
    let public = (manifest.ingress.service == service.name).then(|| ingress::target(&mut parts));
    let mut resource = Resource::new("AWS::ECS::Service")
        .with("ServiceName", service.name.clone())
        .with("Cluster", cluster.clone())
        .with("TaskDefinition", task.reference())
        .with("CapacityProviderStrategy", capacity(service))
        .with_some("DesiredCount", service.scaling.is_none().then_some(service.count))
        .with(
            "DeploymentConfiguration",
            json!({
                "MinimumHealthyPercent": 100,
                "MaximumPercent": 200,
                "DeploymentCircuitBreaker": { "Enable": true, "Rollback": true },
            }),
        )
        .with("NetworkConfiguration", network)
        .with(
            "ServiceRegistries",
            json!([{ "RegistryArn": registry.attribute("Arn") }]),
        )
        .with("EnableECSManagedTags", true)
        .with("PropagateTags", "SERVICE");
    if let Some(public) = &public {
        resource = resource
            .with("LoadBalancers", public.load_balancers.clone())
            .with("HealthCheckGracePeriodSeconds", 60)
            .after(&public.rule);
    }
    let handle = parts.template.add("Service", resource);
    scaling::add(&mut parts, &handle, &cluster, public.as_ref());
    alarms::add(&mut parts, &logs, &handle, &cluster, public.as_ref());
    parts
        .template
        .output("ServiceName", "The ECS service", handle.attribute("Name"));
    parts.finish()
}

/// Where the tasks run: spare capacity only where the manifest says so, since it is taken back with two minutes' notice.
fn capacity(service: &Service) -> Value {
    let provider = if service.spot { "FARGATE_SPOT" } else { "FARGATE" };
    json!([{ "CapacityProvider": provider, "Weight": 1 }])
}

impl Parts<'_> {
    /// A parameter that an output of another stack fills, under the same name.
    fn output_of(&mut self, name: &str, kind: &str, description: &str, stack: &str) -> Value {
        let parameter = (name, kind, description);
        self.inputs.take(self.manifest, &mut self.template, parameter, stack)
    }

    /// The ARN of the platform's own key, where it has one.
    fn key(&mut self) -> Option<Value> {
        kms::arn(self.manifest, &mut self.template, &mut self.inputs)
    }

    /// The ARN of the topic of all alarms, for a service that is watched.
    fn alarm_topic(&mut self) -> Option<Value> {
        let watched = self.service.alarms;
        watched
            .then(|| super::alarms::topic(self.manifest, &mut self.template, &mut self.inputs))
            .flatten()
    }

    fn take(&mut self, parameter: Parameter, kind: &str, description: &str, stack: Option<&str>) -> Value {
        let handle = self.template.parameter(&parameter.name, kind, description);
        self.inputs.add(parameter);
        if let Some(short) = stack {
            self.inputs.wait_for(name_of(self.manifest, short));
        }
        handle.reference()
    }

    fn load_balancer_name(&mut self) -> Value {
        self.output_of(
            "LoadBalancerFullName",
            "String",
            "The load balancer's name in metrics",
            "platform",
        )
    }

    fn image(&mut self) -> Value {
        let (source, stack) = match &self.service.image {
            Some(image) => (Source::Literal(image.clone()), None),
            None => {
                let source = Source::Image {
                    service: self.service.name.clone(),
                    stack: name_of(self.manifest, "registry"),
                    output: registry::output(&self.service.name),
                };
                (source, Some("registry"))
            }
        };
        let parameter = Parameter {
            name: "Image".into(),
            source,
        };
        self.take(parameter, "String", "The image with its digest", stack)
    }

    /// Where the brokers are.
    fn bootstrap_servers(&mut self) -> Option<Value> {
        let kafka = self.manifest.kafka.as_ref().filter(|_| self.service.uses_kafka())?;
        let (source, stack) = match &kafka.bootstrap {
            Some(servers) => (Source::Literal(servers.to_string()), None),
            None => {
                let source = Source::BootstrapBrokers {
                    stack: name_of(self.manifest, "messaging"),
                    output: "KafkaClusterArn".into(),
                    iam: kafka.security == crate::manifest::KafkaSecurity::MskIam,
                };
                (source, Some("messaging"))
            }
        };
        let parameter = Parameter {
            name: "KafkaBootstrapServers".into(),
            source,
        };
        Some(self.take(parameter, "String", "The brokers, host:port, joined by commas", stack))
    }

    /// The generated secrets of this service: variable and ARN.
    fn secrets(&mut self) -> Vec<(String, Value)> {
        let wanted = links::secrets(self.manifest, self.service);
        let taken = wanted.into_iter().map(|(variable, id)| {
            let description = format!("The secret behind {variable}");
            let arn = self.output_of(&format!("{id}Arn"), "String", &description, "data");
            (variable, arn)
        });
        taken.collect()
    }

    /// Host, port and credentials of the service's database.
    fn database(&mut self) -> Option<([Value; 3], String)> {
        let key = self.service.database.clone()?;
        let database = self.manifest.databases.iter().find(|database| database.key == key)?;
        let [host, port, secret] = data::outputs(&key);
        let values = [
            self.output_of(&host, "String", "Where the database listens", "data"),
            self.output_of(&port, "String", "On which port", "data"),
            self.output_of(&secret, "String", "The credentials of the database", "data"),
        ];
        Some((values, database.name.clone()))
    }

    /// The service's name in the private namespace.
    fn registry(&mut self) -> cfn::template::Handle {
        let namespace = self.output_of("NamespaceId", "String", "The private DNS namespace", "platform");
        self.template.add(
            "Discovery",
            Resource::new("AWS::ServiceDiscovery::Service")
                .with("Name", self.service.name.clone())
                .with("NamespaceId", namespace.clone())
                .with(
                    "DnsConfig",
                    json!({ "NamespaceId": namespace, "RoutingPolicy": "MULTIVALUE",
                            "DnsRecords": [{ "Type": "A", "TTL": 10 }] }),
                )
                .with("HealthCheckCustomConfig", json!({ "FailureThreshold": 1 })),
        )
    }

    fn network(&mut self) -> Value {
        let subnets = self.output_of(
            "PrivateSubnetIds",
            "List<AWS::EC2::Subnet::Id>",
            "Subnets of the tasks",
            "network",
        );
        let group = Group::Service(self.service.name.clone()).output();
        let security = self.output_of(
            &group,
            "AWS::EC2::SecurityGroup::Id",
            "Whom the tasks may reach",
            "network",
        );
        json!({ "AwsvpcConfiguration": {
            "AssignPublicIp": "DISABLED", "Subnets": subnets, "SecurityGroups": [security] } })
    }

    fn finish(self) -> Stack {
        Stack {
            name: name_of(self.manifest, &self.service.name),
            short: self.service.name.clone(),
            template: self.template.to_json(),
            parameters: self.inputs.parameters,
            depends_on: self.inputs.depends_on,
        }
    }
}
