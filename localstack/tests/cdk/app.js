// What `scripts/cdk` deploys, with the CDK's default synthesizer: three stacks that refer to each other, and a nested stack.
// REVISION is 1, and 2 for the update; TAG is the tag of the image, PORT the port of the listener.
const cdk = require('aws-cdk-lib');
const {
  aws_cloudwatch: cloudwatch, aws_cloudwatch_actions: actions, aws_ec2: ec2, aws_ecr: ecr, aws_ecs: ecs, aws_ecs_patterns: patterns, aws_kms: kms,
  aws_logs: logs, aws_msk: msk, aws_rds: rds, aws_s3: s3, aws_sns: sns, aws_sns_subscriptions: subscriptions, aws_ssm: ssm,
} = require('aws-cdk-lib');

const { REVISION: revision, TAG: tag, PORT: port, CDK_DEFAULT_ACCOUNT: account, CDK_DEFAULT_REGION: region } = process.env;
const removalPolicy = cdk.RemovalPolicy.DESTROY;
const app = new cdk.App();
cdk.Tags.of(app).add('owner', 'cdk');
const env = { account, region };

class Network extends cdk.Stack {
  constructor(id) {
    super(app, id, { env });
    this.vpc = new ec2.Vpc(this, 'Vpc', { maxAzs: 2, natGateways: 1 });
  }
}

// A stack in a stack: its template is an asset in the bucket of the bootstrap stack.
class Monitoring extends cdk.NestedStack {
  constructor(scope, id) {
    super(scope, id);
    const topic = new sns.Topic(this, 'Alarms');
    topic.addSubscription(new subscriptions.EmailSubscription('operator@example.com'));
    const group = new logs.LogGroup(this, 'Log', { removalPolicy, retention: logs.RetentionDays.ONE_WEEK });
    new logs.MetricFilter(this, 'Errors', {
      logGroup: group, filterPattern: logs.FilterPattern.literal('ERROR'), metricNamespace: 'cdk', metricName: 'errors',
    });
    const metric = new cloudwatch.Metric({ namespace: 'cdk', metricName: 'errors' });
    const alarm = new cloudwatch.Alarm(this, 'TooMany', { metric, threshold: Number(revision), evaluationPeriods: 1 });
    alarm.addAlarmAction(new actions.SnsAction(topic));
    this.alarm = alarm.alarmName;
  }
}

class Data extends cdk.Stack {
  constructor(id, { vpc }) {
    super(app, id, { env });
    const key = new kms.Key(this, 'Key', { alias: 'cdk/data', enableKeyRotation: true, removalPolicy, pendingWindow: cdk.Duration.days(7) });
    this.bucket = new s3.Bucket(this, 'Bucket', {
      encryptionKey: key, blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL, enforceSSL: true, versioned: true, removalPolicy,
    });
    this.database = new rds.DatabaseInstance(this, 'Database', {
      vpc,
      engine: rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.VER_16 }),
      instanceType: ec2.InstanceType.of(ec2.InstanceClass.T4G, ec2.InstanceSize.MICRO),
      credentials: rds.Credentials.fromGeneratedSecret('app'),
      databaseName: 'app',
      storageEncryptionKey: key,
      removalPolicy,
    });
    this.brokers = new ec2.SecurityGroup(this, 'Brokers', { vpc });
    new msk.CfnCluster(this, 'Kafka', {
      clusterName: 'cdk',
      kafkaVersion: '3.6.0',
      numberOfBrokerNodes: 2,
      brokerNodeGroupInfo: {
        instanceType: 'kafka.t3.small',
        clientSubnets: vpc.privateSubnets.map((subnet) => subnet.subnetId),
        securityGroups: [this.brokers.securityGroupId],
        storageInfo: { ebsStorageInfo: { volumeSize: 10 } },
      },
    });
    const monitoring = new Monitoring(this, 'Monitoring');
    new ssm.StringParameter(this, 'Parameter', { parameterName: '/cdk/revision', stringValue: revision });
    new cdk.CfnOutput(this, 'Alarm', { value: monitoring.alarm });
  }
}

class Shop extends cdk.Stack {
  constructor(id, { vpc }, { bucket, brokers, database }) {
    super(app, id, { env });
    const repository = ecr.Repository.fromRepositoryName(this, 'Images', `cdk-hnb659fds-container-assets-${account}-${region}`);
    const shop = new patterns.ApplicationLoadBalancedFargateService(this, 'Service', {
      cluster: new ecs.Cluster(this, 'Cluster', { vpc }),
      cpu: 256,
      memoryLimitMiB: 512,
      listenerPort: Number(port),
      circuitBreaker: { rollback: true },
      minHealthyPercent: 100,
      taskImageOptions: {
        logDriver: ecs.LogDrivers.awsLogs({ streamPrefix: 'shop', logGroup: new logs.LogGroup(this, 'Log', { removalPolicy }) }),
        image: ecs.ContainerImage.fromEcrRepository(repository, tag),
        containerPort: 8080,
        environment: { REVISION: revision, DATABASE: database.dbInstanceEndpointAddress },
        secrets: { PASSWORD: ecs.Secret.fromSecretsManager(database.secret, 'password') },
      },
    });
    shop.targetGroup.configureHealthCheck({ path: '/health', interval: cdk.Duration.seconds(5), timeout: cdk.Duration.seconds(2), healthyThresholdCount: 2 });
    shop.targetGroup.setAttribute('deregistration_delay.timeout_seconds', '1');
    shop.service.connections.allowToDefaultPort(database);
    shop.service.connections.allowTo(brokers, ec2.Port.tcp(9094));
    bucket.grantReadWrite(shop.taskDefinition.taskRole);
    shop.service.autoScaleTaskCount({ maxCapacity: 3 }).scaleOnCpuUtilization('Cpu', { targetUtilizationPercent: 60 });
  }
}

const network = new Network('Network');
const data = new Data('Data', network);
new Shop('Shop', network, data);
