// An OpenID Connect provider for tests: told by one argument of JSON, on the loopback.
import Provider from 'oidc-provider';

const told = JSON.parse(process.argv[2]);

const provider = new Provider(told.issuer, {
  clients: told.clients,
  jwks: { keys: told.keys },
  cookies: { keys: ['cookies-of-tests'] },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['preferred_username', 'groups'],
  },
  conformIdTokenClaims: false,
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
  },
  pkce: { required: () => true },
  async findAccount(ctx, id) {
    return {
      accountId: id,
      async claims() {
        return { sub: id, ...(told.people[id] ?? {}) };
      },
    };
  },
});

provider.listen(told.port, '127.0.0.1');
