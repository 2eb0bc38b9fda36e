//! What has an address in the VPC: load balancer, tasks, databases, brokers, interface endpoints.

use serde_json::Value;

use super::End;
use super::expression::{number, resources};
use super::finding;
use crate::lint::Finding;
use crate::stacks::links::Group;
use crate::stacks::{Plan, Stack};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    LoadBalancer,
    Tasks,
    Store,
    Endpoint,
}

#[derive(Debug, Clone)]
pub struct Component {
    /// The stack's short name, and the logical id.
    pub stack: String,
    pub place: String,
    pub kind: Kind,
    /// The security group that is meant to be its own; links name it by this.
    pub identity: String,
    /// The groups that it really has.
    pub groups: Vec<String>,
    pub subnets: Vec<String>,
    pub ports: Vec<u16>,
    /// Whether it has a public address.
    pub public: bool,
    /// Of a load balancer: its targets.
    pub forwards: Vec<(String, u16)>,
}

impl Component {
    pub fn end(&self) -> End {
        End::Component(self.identity.clone())
    }
}

pub fn all(plan: &Plan, unknown: &mut Vec<Finding>) -> Vec<Component> {
    let mut found = Vec::new();
    for stack in &plan.stacks {
        for (name, resource) in stack.template["Resources"].as_object().into_iter().flatten() {
            let reader = Reader {
                plan,
                stack,
                name,
                properties: &resource["Properties"],
            };
            let component = match resource["Type"].as_str().unwrap_or_default() {
                "AWS::ElasticLoadBalancingV2::LoadBalancer" => reader.load_balancer(),
                "AWS::ECS::Service" => reader.tasks(),
                "AWS::RDS::DBInstance" => reader.database(),
                "AWS::MSK::Cluster" => reader.brokers(),
                "AWS::EC2::VPCEndpoint" if reader.properties["VpcEndpointType"] == "Interface" => reader.endpoint(),
                _ => continue,
            };
            match component {
                Some(component) if !component.groups.is_empty() && !component.subnets.is_empty() => {
                    found.push(component);
                }
                // without groups it would have the VPC's default one
                _ => unknown.push(finding(
                    &stack.short,
                    name,
                    "its subnets, security groups or ports cannot be told from the templates",
                )),
            }
        }
    }
    found
}

struct Reader<'a> {
    plan: &'a Plan,
    stack: &'a Stack,
    name: &'a str,
    properties: &'a Value,
}

impl Reader<'_> {
    fn component(
        &self,
        kind: Kind,
        group: &Group,
        subnets: &Value,
        groups: &Value,
        ports: Vec<u16>,
    ) -> Option<Component> {
        Some(Component {
            stack: self.stack.short.clone(),
            place: self.name.to_owned(),
            kind,
            identity: group.logical_id(),
            groups: resources(self.plan, self.stack, groups)?,
            subnets: resources(self.plan, self.stack, subnets)?,
            ports,
            public: false,
            forwards: Vec::new(),
        })
    }

    fn load_balancer(&self) -> Option<Component> {
        let listeners = of_type(&self.stack.template, "AWS::ElasticLoadBalancingV2::Listener");
        let ports = listeners
            .filter_map(|(_, listener)| number(&listener["Port"]))
            .collect();
        let (subnets, groups) = (&self.properties["Subnets"], &self.properties["SecurityGroups"]);
        let component = self.component(Kind::LoadBalancer, &Group::LoadBalancer, subnets, groups, ports)?;
        Some(Component {
            public: self.properties["Scheme"] != "internal",
            forwards: self
                .plan
                .stacks
                .iter()
                .flat_map(|stack| forwards(self.plan, stack))
                .collect(),
            ..component
        })
    }

    fn tasks(&self) -> Option<Component> {
        let network = &self.properties["NetworkConfiguration"]["AwsvpcConfiguration"];
        let definition = resources(self.plan, self.stack, &self.properties["TaskDefinition"])?.pop()?;
        let definition = &self.stack.template["Resources"][&definition]["Properties"];
        let containers = definition["ContainerDefinitions"].as_array().into_iter().flatten();
        let mappings = containers.flat_map(|container| container["PortMappings"].as_array().into_iter().flatten());
        let ports = mappings
            .filter_map(|mapping| number(&mapping["ContainerPort"]))
            .collect();
        let group = Group::Service(self.stack.short.clone());
        let (subnets, groups) = (&network["Subnets"], &network["SecurityGroups"]);
        let component = self.component(Kind::Tasks, &group, subnets, groups, ports)?;
        Some(Component {
            public: network["AssignPublicIp"] == "ENABLED",
            ..component
        })
    }

    fn database(&self) -> Option<Component> {
        let subnets = resources(self.plan, self.stack, &self.properties["DBSubnetGroupName"])?.pop()?;
        let subnets = &self.stack.template["Resources"][&subnets]["Properties"]["SubnetIds"];
        let ports = vec![number(&self.properties["Port"])?];
        let group = Group::Database(self.name.trim_end_matches("Database").to_owned());
        let groups = &self.properties["VPCSecurityGroups"];
        let component = self.component(Kind::Store, &group, subnets, groups, ports)?;
        Some(Component {
            public: self.properties["PubliclyAccessible"] != false,
            ..component
        })
    }

    /// The ports that the brokers' settings open (Amazon MSK: port information).
    fn brokers(&self) -> Option<Component> {
        let nodes = &self.properties["BrokerNodeGroupInfo"];
        let authentication = &self.properties["ClientAuthentication"];
        let transport = self.properties["EncryptionInfo"]["EncryptionInTransit"]["ClientBroker"].as_str();
        let anybody = authentication["Unauthenticated"]["Enabled"] == true;
        let mut ports = Vec::new();
        if anybody && transport != Some("TLS") {
            ports.push(9092);
        }
        if anybody && transport != Some("PLAINTEXT") {
            ports.push(9094);
        }
        if authentication["Sasl"]["Iam"]["Enabled"] == true {
            ports.push(9098);
        }
        let (subnets, groups) = (&nodes["ClientSubnets"], &nodes["SecurityGroups"]);
        let component = self.component(Kind::Store, &Group::Kafka, subnets, groups, ports)?;
        let public = &nodes["ConnectivityInfo"]["PublicAccess"]["Type"];
        Some(Component {
            public: !public.is_null() && public != "DISABLED",
            ..component
        })
    }

    fn endpoint(&self) -> Option<Component> {
        let (subnets, groups) = (&self.properties["SubnetIds"], &self.properties["SecurityGroupIds"]);
        self.component(Kind::Endpoint, &Group::Endpoints, subnets, groups, vec![443])
    }
}

/// What a listener's rule forwards to: the service that is registered with the target group, and its port.
fn forwards(plan: &Plan, stack: &Stack) -> Vec<(String, u16)> {
    let rules = of_type(&stack.template, "AWS::ElasticLoadBalancingV2::ListenerRule");
    let actions = rules.flat_map(|(_, rule)| rule["Actions"].as_array().into_iter().flatten());
    let targets: Vec<String> = actions
        .filter_map(|action| resources(plan, stack, &action["TargetGroupArn"]))
        .flatten()
        .collect();
    let mut found = Vec::new();
    for (_, service) in of_type(&stack.template, "AWS::ECS::Service") {
        for registered in service["LoadBalancers"].as_array().into_iter().flatten() {
            let group = resources(plan, stack, &registered["TargetGroupArn"]).unwrap_or_default();
            let target = &stack.template["Resources"][group.first().map_or("", String::as_str)]["Properties"];
            let port = number(&registered["ContainerPort"]).filter(|port| number(&target["Port"]) == Some(*port));
            if let Some(port) = port.filter(|_| group.iter().any(|group| targets.contains(group))) {
                found.push((Group::Service(stack.short.clone()).logical_id(), port));
            }
        }
    }
    found
}

/// The resources of a type: logical id and properties.
fn of_type<'a>(template: &'a Value, kind: &'a str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources
        .filter(move |(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name, &resource["Properties"]))
}
