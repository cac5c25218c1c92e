// A real OpenID Connect provider, in memory: `node provider.mjs <node_modules> <options as JSON>`.
//
// It prints one line when it listens. Users come from the options; whoever has their name is them. Only for tests.
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [modules, options] = [process.argv[2], JSON.parse(process.argv[3])]
const load = async (file) => (await import(pathToFileURL(join(modules, 'oidc-provider/lib', file)).href)).default
const Provider = await load('index.js')

// Of one's own class, so that what is stored is not lost with the keys.
class Storage extends (await load('adapters/memory_adapter.js')) {}

const SCOPE = 'read'

function signingKey(algorithm) {
  const kinds = {
    RS256: ['rsa', { modulusLength: 2048 }],
    PS256: ['rsa', { modulusLength: 2048 }],
    ES256: ['ec', { namedCurve: 'P-256' }],
    EdDSA: ['ed25519', {}],
  }
  const { privateKey } = generateKeyPairSync(...kinds[algorithm])
  return { ...privateKey.export({ format: 'jwk' }), alg: algorithm, use: 'sig', kid: randomUUID() }
}

const clients = [
  {
    client_id: 'headgate-cli',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    redirect_uris: ['http://127.0.0.1/callback'],
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
  },
  ...Object.keys(options.services).map((id) => ({
    client_id: id,
    client_secret: `${id}-secret`,
    token_endpoint_auth_method: 'client_secret_post',
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
  })),
]

function configuration(keys) {
  return {
    adapter: Storage,
    clients,
    jwks: { keys },
    cookies: { keys: [randomUUID()] },
    scopes: ['openid', 'offline_access', 'profile'],
    clientDefaults: { id_token_signed_response_alg: options.algorithm },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
    pkce: { required: () => true },
    async findAccount(_, id) {
      const claims = options.users[id]
      return claims && { accountId: id, claims: async () => ({ sub: id, ...claims }) }
    },
    async extraTokenClaims(_, token) {
      return token.accountId ? options.users[token.accountId] : options.services[token.clientId]
    },
    issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    // Whoever asks for a token may say how long it lasts.
    ttl: {
      AccessToken: lifetime,
      ClientCredentials: lifetime,
      IdToken: 3600,
      RefreshToken: 3600,
      DeviceCode: 300,
      Interaction: 300,
      Session: 3600,
      Grant: 3600,
      AuthorizationCode: 60,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => options.audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, audience) => ({
          audience,
          scope: SCOPE,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: options.algorithm } },
        }),
      },
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    renderError: (ctx, out) => {
      ctx.type = 'json'
      ctx.body = out
    },
  }
}

function lifetime(ctx) {
  return Number(ctx.query.lifetime) || options.lifetimeSeconds
}

// A user is whoever presses the button with the user's name, and consents to everything.
async function interact(request, response) {
  const details = await provider.interactionDetails(request, response)
  const finish = (result) =>
    provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true })
  if (details.prompt.name === 'login') {
    const user = new URLSearchParams(await body(request)).get('user') ?? details.params.login_hint
    return options.users[user] ? finish({ login: { accountId: user } }) : loginPage(response)
  }
  const grant = new provider.Grant({ accountId: details.session.accountId, clientId: details.params.client_id })
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = details.prompt.details
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '))
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims)
  for (const [audience, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(audience, scopes.join(' '))
  }
  return finish({ consent: { grantId: await grant.save() } })
}

function loginPage(response) {
  const buttons = Object.keys(options.users).map((user) => `<button name="user" value="${user}">${user}</button>`)
  response.setHeader('content-type', 'text/html')
  response.end(`<form method="post">${buttons.join('')}</form>`)
}

async function body(request) {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}

// The newest key signs. Without `keep`, the older ones are no longer published.
function rotate(keep) {
  keys = [signingKey(options.algorithm), ...(keep ? keys : [])]
  provider = new Provider(issuer, configuration(keys))
}

async function handle(request, response) {
  const { pathname, searchParams } = new URL(request.url, issuer)
  if (pathname.startsWith('/interaction/')) return interact(request, response)
  if (pathname === '/test/rotate') {
    rotate(searchParams.has('keep'))
    return response.end(keys[0].kid)
  }
  return provider.callback()(request, response)
}

function listener(request, response) {
  handle(request, response).catch((error) => {
    response.statusCode = 500
    response.end(String(error))
  })
}

const server = options.tls ? createHttpsServer(options.tls, listener) : createHttpServer(listener)
await new Promise((resolve) => server.listen(options.port, options.host, resolve))
const issuer = `${options.tls ? 'https' : 'http'}://${options.host}:${server.address().port}`
let keys = []
let provider
rotate(false)
console.log(issuer)
