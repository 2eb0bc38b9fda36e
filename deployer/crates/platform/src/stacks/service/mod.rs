//! The stack of a service: log group, roles, task definition, ECS service, target groups.

mod alarms;
mod container;
mod ingress;
mod roles;
mod scaling;

pub use alarms::{CONSUMER_LAG, OUTBOX_AGE, has_outbox, namespace};
use serde_json::{Value, json};

use super::inputs::Inputs;
use super::links::{self, Group};
use super::{Parameter, Source, Stack, data, kms, messaging, name_of, registry};
use crate::manifest::{KafkaSecurity, Manifest, Rollout, Service, Steps};
use cfn::template::{Handle, Resource, Template};

/// The template under construction, with its parameters.
struct Builder<'a> {
    manifest: &'a Manifest,
    service: &'a Service,
    template: Template,
    inputs: Inputs,
}

/// Returns the stack of a service.
pub fn stack(manifest: &Manifest, service: &Service) -> Stack {
    let mut builder = Builder {
        manifest,
        service,
        template: Template::new(format!("{}: {}", manifest.prefix(), service.name)),
        inputs: Inputs::default(),
    };
    let image = builder.image();
    let cluster = builder.output_of("ClusterName", "String", "The ECS cluster", "platform");
    let key = builder.key();
    let logs = Resource::new("AWS::Logs::LogGroup")
        .with("LogGroupName", format!("/ecs/{}/{}", manifest.prefix(), service.name))
        .with("RetentionInDays", service.log_retention_days)
        .deleted();
    let logs = builder
        .template
        .add("LogGroup", kms::encrypting(logs, "KmsKeyId", key, "CKV_AWS_158"));
    let secrets = builder.secrets();
    let task_role = roles::task(&mut builder);
    let execution_role = roles::execution(&mut builder, &logs, &secrets);
    let container = container::definition(&mut builder, &image, &logs, &secrets);
    let task = builder.template.add(
        "TaskDefinition",
        Resource::new("AWS::ECS::TaskDefinition")
            .with("Family", format!("{}-{}", manifest.prefix(), service.name))
            .with("Cpu", service.cpu.to_string())
            .with("Memory", service.memory.to_string())
            .with("NetworkMode", "awsvpc")
            .with("RequiresCompatibilities", json!(["FARGATE"]))
            .with(
                "RuntimePlatform",
                json!({ "CpuArchitecture": service.architecture.cpu_architecture(), "OperatingSystemFamily": "LINUX" }),
            )
            .with("ExecutionRoleArn", execution_role.attribute("Arn"))
            .with("TaskRoleArn", task_role.attribute("Arn"))
            .with("ContainerDefinitions", json!([container])),
    );
    let registry = builder.registry();
    let network = builder.network();
    let is_public = manifest.ingress.service == service.name;
    if is_public {
        // A task that fails the load balancer's health checks counts for the circuit breaker (Amazon ECS: deployment circuit
        // breaker), so that a service that is ready only with its peers is created after them.
        for call in &service.calls {
            builder.inputs.depend_on(name_of(manifest, &call.service));
        }
    }
    let public = is_public.then(|| ingress::target(&mut builder));
    let mut deployment = json!({
        "MinimumHealthyPercent": 100,
        "MaximumPercent": 200,
        "DeploymentCircuitBreaker": { "Enable": true, "Rollback": true },
    });
    if is_public {
        strategy(&mut deployment, service.rollout);
    }
    // A version whose tasks are healthy and whose responses are errors is rolled back too (Amazon ECS: "How CloudWatch alarms
    // detect Amazon ECS deployment failures").
    let stopping = public.as_ref().map(|public| alarms::of_rollout(&mut builder, public));
    if let Some(alarms) = stopping.filter(|alarms| !alarms.is_empty()) {
        let names: Value = alarms.iter().map(Handle::reference).collect();
        deployment["Alarms"] = json!({ "AlarmNames": names, "Enable": true, "Rollback": true });
    }
    let mut resource = Resource::new("AWS::ECS::Service")
        .with("ServiceName", service.name.clone())
        .with("Cluster", cluster.clone())
        .with("TaskDefinition", task.reference())
        .with("CapacityProviderStrategy", capacity(service))
        .with_some("DesiredCount", service.scaling.is_none().then_some(service.count))
        .with("DeploymentConfiguration", deployment)
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
            .depends_on(&public.rule);
    }
    let handle = builder.template.add("Service", resource);
    scaling::add(&mut builder, &handle, &cluster, public.as_ref());
    alarms::add(&mut builder, &logs, &handle, &cluster, public.as_ref());
    builder
        .template
        .output("ServiceName", "The ECS service", handle.attribute("Name"));
    builder.finish()
}

/// Adds the strategy of the public service and its steps. ECS keeps what an update does not name (Amazon ECS API Reference:
/// `UpdateService`), so that the default has to be named for the way back from another strategy.
fn strategy(deployment: &mut Value, rollout: Rollout) {
    let Rollout::Shifting { steps, bake_minutes } = rollout else {
        deployment["Strategy"] = "ROLLING".into();
        return;
    };
    deployment["BakeTimeInMinutes"] = bake_minutes.into();
    deployment["Strategy"] = match steps {
        Steps::BlueGreen => "BLUE_GREEN",
        Steps::Canary { percent, minutes } => {
            deployment["CanaryConfiguration"] = json!({ "CanaryPercent": percent, "CanaryBakeTimeInMinutes": minutes });
            "CANARY"
        }
        Steps::Linear { percent, minutes } => {
            deployment["LinearConfiguration"] = json!({ "StepPercent": percent, "StepBakeTimeInMinutes": minutes });
            "LINEAR"
        }
    }
    .into();
}

/// Returns the capacity provider: Fargate Spot only if the manifest asks for it, since it is interrupted with two minutes'
/// notice.
fn capacity(service: &Service) -> Value {
    let provider = if service.spot { "FARGATE_SPOT" } else { "FARGATE" };
    json!([{ "CapacityProvider": provider, "Weight": 1 }])
}

impl Builder<'_> {
    /// Adds an output of another stack as a parameter of the same name.
    fn output_of(&mut self, name: &str, parameter_type: &str, description: &str, stack: &str) -> Value {
        let parameter = (name, parameter_type, description);
        self.inputs.output(self.manifest, &mut self.template, parameter, stack)
    }

    /// Returns the ARN of the platform's key; `None` if AWS's own keys encrypt.
    fn key(&mut self) -> Option<Value> {
        kms::arn(self.manifest, &mut self.template, &mut self.inputs)
    }

    /// Returns the ARN of the topic of alarms; `None` for a service without alarms.
    fn alarm_topic(&mut self) -> Option<Value> {
        self.service
            .alarms
            .then(|| super::alarms::topic(self.manifest, &mut self.template, &mut self.inputs))
            .flatten()
    }

    /// Adds a parameter, and the stack on which its value depends.
    fn input(&mut self, parameter: Parameter, description: &str, stack: Option<&str>) -> Value {
        let handle = self.template.parameter(&parameter.name, "String", description);
        self.inputs.add(parameter);
        if let Some(stack) = stack {
            self.inputs.depend_on(name_of(self.manifest, stack));
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
        let (source, stack) = if let Some(image) = &self.service.image {
            (Source::Literal(image.clone()), None)
        } else {
            let source = Source::Image {
                service: self.service.name.clone(),
                stack: name_of(self.manifest, "registry"),
                output: registry::output(&self.service.name),
            };
            (source, Some("registry"))
        };
        let parameter = Parameter {
            name: "Image".into(),
            source,
        };
        self.input(parameter, "URI of the image with its digest", stack)
    }

    /// Returns the addresses of the brokers; `None` for a service without topics.
    fn bootstrap_servers(&mut self) -> Option<Value> {
        let kafka = self.manifest.kafka.as_ref().filter(|_| self.service.uses_kafka())?;
        let (source, stack) = if let Some(servers) = &kafka.bootstrap {
            (Source::Literal(servers.to_string()), None)
        } else {
            let source = Source::BootstrapBrokers {
                stack: name_of(self.manifest, "messaging"),
                output: messaging::CLUSTER.into(),
                iam: kafka.security == KafkaSecurity::MskIam,
            };
            (source, Some("messaging"))
        };
        let parameter = Parameter {
            name: "KafkaBootstrapServers".into(),
            source,
        };
        Some(self.input(parameter, "The brokers, host:port, joined by commas", stack))
    }

    /// Returns the generated secrets of the service: variable and ARN.
    fn secrets(&mut self) -> Vec<(String, Value)> {
        let secrets = links::secrets(self.manifest, self.service);
        let inputs = secrets.into_iter().map(|(variable, id)| {
            let description = format!("ARN of the secret for {variable}");
            let arn = self.output_of(&format!("{id}Arn"), "String", &description, "data");
            (variable, arn)
        });
        inputs.collect()
    }

    /// Returns host, port and credentials of the service's database, and its name.
    fn database(&mut self) -> Option<([Value; 3], String)> {
        let key = self.service.database.clone()?;
        let database = self.manifest.databases.iter().find(|database| database.key == key)?;
        let [host, port, secret] = data::outputs(&key);
        let values = [
            self.output_of(&host, "String", "Host name of the database", "data"),
            self.output_of(&port, "String", "Port of the database", "data"),
            self.output_of(
                &secret,
                "String",
                "ARN of the secret with the user name and password of the database",
                "data",
            ),
        ];
        Some((values, database.name.clone()))
    }

    /// Adds the service to the private DNS namespace.
    fn registry(&mut self) -> Handle {
        let namespace = self.output_of("NamespaceId", "String", "The private DNS namespace", "platform");
        self.template.add(
            "Discovery",
            Resource::new("AWS::ServiceDiscovery::Service")
                .with("Name", self.service.name.clone())
                .with("NamespaceId", namespace.clone())
                .with(
                    "DnsConfig",
                    json!({ "NamespaceId": namespace, "RoutingPolicy": "MULTIVALUE",
                            "DnsRecords": [{ "Type": "A", "TTL": links::RECORD_TTL }] }),
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
            "The security group of the tasks",
            "network",
        );
        json!({ "AwsvpcConfiguration": {
            "AssignPublicIp": "DISABLED", "Subnets": subnets, "SecurityGroups": [security] } })
    }

    fn finish(self) -> Stack {
        Stack {
            name: name_of(self.manifest, &self.service.name),
            short_name: self.service.name.clone(),
            template: self.template.to_json(),
            parameters: self.inputs.parameters,
            depends_on: self.inputs.depends_on,
        }
    }
}
