//! Components with an address in the VPC: load balancer, tasks, databases, brokers, interface endpoints.

use serde_json::Value;

use super::PathEnd;
use super::expression::{number, resources};
use crate::lint::finding::{LintFinding, LintProblem};
use crate::stacks::links::Group;
use crate::stacks::{Plan, Stack};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComponentKind {
    LoadBalancer,
    Tasks,
    Store,
    Endpoint,
}

#[derive(Debug, Clone)]
pub struct Component {
    /// The stack's short name.
    pub stack: String,
    pub logical_id: String,
    pub kind: ComponentKind,
    /// The logical ID of the security group that the plan has for it, by which links name it.
    pub identity: String,
    /// The security groups that the template assigns to it.
    pub groups: Vec<String>,
    pub subnets: Vec<String>,
    pub ports: Vec<u16>,
    /// It has a public address.
    pub public: bool,
    /// Targets of a load balancer: security group and port.
    pub targets: Vec<(String, u16)>,
}

impl Component {
    pub fn end(&self) -> PathEnd {
        PathEnd::Component(self.identity.clone())
    }
}

/// Returns the components of all templates; `unclear` receives those that cannot be evaluated.
pub fn all(plan: &Plan, unclear: &mut Vec<LintFinding>) -> Vec<Component> {
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
                // Without a security group it would have the VPC's default one.
                _ => unclear.push(LintFinding::new(&stack.short_name, name, LintProblem::UnclearComponent)),
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
        kind: ComponentKind,
        group: &Group,
        subnets: &Value,
        groups: &Value,
        ports: Vec<u16>,
    ) -> Option<Component> {
        Some(Component {
            stack: self.stack.short_name.clone(),
            logical_id: self.name.to_owned(),
            kind,
            identity: group.logical_id(),
            groups: resources(self.plan, self.stack, groups)?,
            subnets: resources(self.plan, self.stack, subnets)?,
            ports,
            public: false,
            targets: Vec::new(),
        })
    }

    fn load_balancer(&self) -> Option<Component> {
        let listeners = of_type(&self.stack.template, "AWS::ElasticLoadBalancingV2::Listener");
        let ports = listeners
            .filter_map(|(_, listener)| number(&listener["Port"]))
            .collect();
        let (subnets, groups) = (&self.properties["Subnets"], &self.properties["SecurityGroups"]);
        let component = self.component(
            ComponentKind::LoadBalancer,
            &Group::LoadBalancer,
            subnets,
            groups,
            ports,
        )?;
        Some(Component {
            public: self.properties["Scheme"] != "internal",
            targets: self
                .plan
                .stacks
                .iter()
                .flat_map(|stack| targets(self.plan, stack))
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
        let group = Group::Service(self.stack.short_name.clone());
        let (subnets, groups) = (&network["Subnets"], &network["SecurityGroups"]);
        let component = self.component(ComponentKind::Tasks, &group, subnets, groups, ports)?;
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
        let component = self.component(ComponentKind::Store, &group, subnets, groups, ports)?;
        Some(Component {
            public: self.properties["PubliclyAccessible"] != false,
            ..component
        })
    }

    /// Returns the brokers, with the ports that their settings open (Amazon MSK: port information).
    fn brokers(&self) -> Option<Component> {
        let nodes = &self.properties["BrokerNodeGroupInfo"];
        let authentication = &self.properties["ClientAuthentication"];
        let transport = self.properties["EncryptionInfo"]["EncryptionInTransit"]["ClientBroker"].as_str();
        let unauthenticated = authentication["Unauthenticated"]["Enabled"] == true;
        let mut ports = Vec::new();
        if unauthenticated && transport != Some("TLS") {
            ports.push(9092);
        }
        if unauthenticated && transport != Some("PLAINTEXT") {
            ports.push(9094);
        }
        if authentication["Sasl"]["Iam"]["Enabled"] == true {
            ports.push(9098);
        }
        let (subnets, groups) = (&nodes["ClientSubnets"], &nodes["SecurityGroups"]);
        let component = self.component(ComponentKind::Store, &Group::Kafka, subnets, groups, ports)?;
        let public = &nodes["ConnectivityInfo"]["PublicAccess"]["Type"];
        Some(Component {
            public: !public.is_null() && public != "DISABLED",
            ..component
        })
    }

    fn endpoint(&self) -> Option<Component> {
        let (subnets, groups) = (&self.properties["SubnetIds"], &self.properties["SecurityGroupIds"]);
        self.component(ComponentKind::Endpoint, &Group::Endpoints, subnets, groups, vec![443])
    }
}

/// Returns the targets of listener rules: the service that is registered with the target group, and its port.
fn targets(plan: &Plan, stack: &Stack) -> Vec<(String, u16)> {
    let rules = of_type(&stack.template, "AWS::ElasticLoadBalancingV2::ListenerRule");
    let actions = rules.flat_map(|(_, rule)| rule["Actions"].as_array().into_iter().flatten());
    let forwards = actions.flat_map(|action| {
        let weighted = action["ForwardConfig"]["TargetGroups"].as_array().into_iter().flatten();
        weighted.chain([action]).map(|to| &to["TargetGroupArn"])
    });
    let groups: Vec<String> = forwards
        .filter_map(|group| resources(plan, stack, group))
        .flatten()
        .collect();
    let mut found = Vec::new();
    for (_, service) in of_type(&stack.template, "AWS::ECS::Service") {
        for registered in service["LoadBalancers"].as_array().into_iter().flatten() {
            let alternate = &registered["AdvancedConfiguration"]["AlternateTargetGroupArn"];
            let group: Vec<String> = [&registered["TargetGroupArn"], alternate]
                .into_iter()
                .filter_map(|group| resources(plan, stack, group))
                .flatten()
                .collect();
            // ECS registers a task with this port, in place of the target group's (Amazon ECS API: LoadBalancer).
            let port = number(&registered["ContainerPort"]);
            if let Some(port) = port.filter(|_| group.iter().any(|group| groups.contains(group))) {
                found.push((Group::Service(stack.short_name.clone()).logical_id(), port));
            }
        }
    }
    found
}

/// Returns the resources of a type: logical ID and properties.
fn of_type<'a>(template: &'a Value, resource_type: &'a str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources
        .filter(move |(_, resource)| resource["Type"] == resource_type)
        .map(|(name, resource)| (name, &resource["Properties"]))
}
