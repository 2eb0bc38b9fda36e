// npm's oidc-provider as the identity provider of a test: node provider.mjs MODULE REDIRECT_URI
// It prints its issuer, and ends with its standard input.
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const [module, redirectUri] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(module));

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'clinic', client_secret: 'a secret:+/', redirect_uris: [redirectUri],
      grant_types: ['authorization_code'], response_types: ['code'],
    }],
    claims: { openid: ['sub', 'groups'], email: ['email', 'email_verified'] },
    pkce: { required: () => true },
    // The groups depend on the name with which the person logs in.
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: id !== 'unverified', groups: [`${id}s`] }),
    }),
    features: { devInteractions: { enabled: true } },
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
process.stdin.on('end', () => process.exit(0)).resume();
