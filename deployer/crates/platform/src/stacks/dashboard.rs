//! The CloudWatch dashboard: load balancer, services, databases, messages.

use serde_json::{Map, Value, json};

use super::inputs::Inputs;
use super::{Stack, data, links, name_of};
use crate::manifest::Manifest;
use cfn::template::{Resource, Template, sub};

const STACK: &str = "dashboard";
/// Width of a widget: half of the dashboard's 24 columns.
const WIDTH: usize = 12;
const HEIGHT: usize = 6;

/// Returns the stack of the dashboard; `None` without alarms.
pub fn stack(manifest: &Manifest) -> Option<Stack> {
    manifest.alarms.as_ref()?;
    let mut dashboard = Dashboard {
        manifest,
        template: Template::new(format!("{}: the dashboard", manifest.prefix())),
        inputs: Inputs::default(),
        values: Map::new(),
        widgets: Vec::new(),
    };
    dashboard.load_balancer();
    dashboard.services();
    dashboard.databases();
    dashboard.messages();
    let body = json!({ "widgets": dashboard.widgets }).to_string();
    let mut template = dashboard.template;
    template.add(
        "Dashboard",
        Resource::new("AWS::CloudWatch::Dashboard")
            // Dashboards belong to the account, not to a region (AWS::CloudWatch::Dashboard).
            .with(
                "DashboardName",
                sub(&format!("{}-${{AWS::Region}}", manifest.prefix()), []),
            )
            .with("DashboardBody", json!({ "Fn::Sub": [body, dashboard.values] })),
    );
    Some(Stack {
        name: name_of(manifest, STACK),
        short_name: STACK.into(),
        template: template.to_json(),
        parameters: dashboard.inputs.parameters,
        depends_on: dashboard.inputs.depends_on,
    })
}

struct Dashboard<'a> {
    manifest: &'a Manifest,
    template: Template,
    inputs: Inputs,
    /// Values of the `${…}` in the body, besides the template's own names.
    values: Map<String, Value>,
    widgets: Vec<Value>,
}

impl Dashboard<'_> {
    fn graph(&mut self, title: &str, statistic: &str, metrics: &[Value]) {
        if metrics.is_empty() {
            return;
        }
        let n = self.widgets.len();
        self.widgets.push(json!({
            "type": "metric", "x": n % 2 * WIDTH, "y": n / 2 * HEIGHT, "width": WIDTH, "height": HEIGHT,
            "properties": { "title": title, "region": "${AWS::Region}", "view": "timeSeries",
                            "stat": statistic, "period": 60, "metrics": metrics },
        }));
    }

    fn load_balancer(&mut self) {
        let parameter = ("LoadBalancerFullName", "String", "The load balancer's name in metrics");
        self.inputs
            .output(self.manifest, &mut self.template, parameter, "platform");
        let of = |metric: &str, style: Value| {
            let balancer = "${LoadBalancerFullName}";
            json!(["AWS/ApplicationELB", metric, "LoadBalancer", balancer, style])
        };
        let responses = [
            of("RequestCount", json!({ "label": "requests" })),
            of("HTTPCode_Target_4XX_Count", json!({ "label": "4xx" })),
            of("HTTPCode_Target_5XX_Count", json!({ "label": "5xx" })),
            of("HTTPCode_ELB_5XX_Count", json!({ "label": "5xx of the load balancer" })),
        ];
        self.graph("Load balancer: responses per minute", "Sum", &responses);
        let times = ["p50", "p90", "p99"].map(|stat| of("TargetResponseTime", json!({ "stat": stat, "label": stat })));
        self.graph("Load balancer: response time, seconds", "p99", &times);
    }

    fn services(&mut self) {
        let cluster = self.manifest.prefix();
        let each = |namespace: &str, metric: &str| -> Vec<Value> {
            let names = self.manifest.services.iter().map(|service| &service.name);
            names
                .map(|name| json!([namespace, metric, "ClusterName", cluster, "ServiceName", name, { "label": name }]))
                .collect()
        };
        let (cpu, memory) = (each("AWS/ECS", "CPUUtilization"), each("AWS/ECS", "MemoryUtilization"));
        let running = each("ECS/ContainerInsights", "RunningTaskCount");
        self.graph("Services: CPU, %", "Average", &cpu);
        self.graph("Services: memory, %", "Average", &memory);
        self.graph("Services: running tasks", "Average", &running);
    }

    /// The name of an instance in metrics is the first label of its host name.
    fn databases(&mut self) {
        let mut names = Vec::new();
        for database in &self.manifest.databases {
            let [host, ..] = data::outputs(&database.key);
            let parameter = (host.as_str(), "String", "Host name of the database");
            let address = self.inputs.output(self.manifest, &mut self.template, parameter, "data");
            let value = format!("{}Name", host.trim_end_matches("Host"));
            let name = json!({ "Fn::Select": [0, { "Fn::Split": [".", address] }] });
            self.values.insert(value.clone(), name);
            names.push((database.key.clone(), format!("${{{value}}}")));
        }
        let each = |metric: &str| -> Vec<Value> {
            names
                .iter()
                .map(|(key, name)| json!(["AWS/RDS", metric, "DBInstanceIdentifier", name, { "label": key }]))
                .collect()
        };
        let graphs = [
            ("Databases: CPU, %", "CPUUtilization"),
            ("Databases: free storage, bytes", "FreeStorageSpace"),
            ("Databases: connections", "DatabaseConnections"),
        ];
        for (title, metric) in graphs {
            let metrics = each(metric);
            self.graph(title, "Average", &metrics);
        }
    }

    /// The messages that wait, from the services' logs; and the disks of the platform's brokers.
    fn messages(&mut self) {
        let manifest = self.manifest;
        let of = |metric: &str, label: &str| -> Vec<Value> {
            let services = manifest.services.iter().filter(|service| match metric {
                super::service::CONSUMER_LAG => !service.consumes.is_empty(),
                _ => super::service::has_outbox(service),
            });
            services
                .map(|service| {
                    let namespace = super::service::namespace(&manifest.prefix(), &service.name);
                    json!([namespace, metric, { "label": format!("{}: {label}", service.name) }])
                })
                .collect()
        };
        let mut waiting = of(super::service::OUTBOX_AGE, "oldest event, seconds");
        waiting.extend(of(super::service::CONSUMER_LAG, "messages"));
        self.graph("Waiting messages", "Maximum", &waiting);
        if let Some(kafka) = manifest.kafka.as_ref().filter(|_| links::has_cluster(manifest)) {
            let cluster = manifest.prefix();
            let disks: Vec<Value> = (1..=kafka.brokers)
                .map(|broker| {
                    json!(["AWS/Kafka", "KafkaDataLogsDiskUsed", "Cluster Name", cluster, "Broker ID",
                           broker.to_string(), { "label": format!("broker {broker}") }])
                })
                .collect();
            self.graph("Kafka: disk in use, %", "Maximum", &disks);
        }
    }
}
