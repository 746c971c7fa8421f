// Calls the SDK as its README does and prints what it made of the answers, as JSON.
// The SDK itself is unmodified. Only the network below it is bent: the one host that it knows is
// the simulator, and none other exists.
//
// Usage: node scenario.js URL ORGANIZATION API_KEY ACCESS_TOKEN

'use strict'

const http = require('http')
const https = require('https')

const [url, organization, apiKey, accessToken] = process.argv.slice(2)
const { hostname, port } = new URL(url)

https.request = (options, answered) => {
  if (options.hostname !== 'mc.adobe.io') throw new Error(`unexpected host ${options.hostname}`)
  const { method, path, headers } = options
  return http.request({ hostname, port, method, path, headers }, answered)
}

const sdk = require('@adobe/aio-lib-campaign-standard')

const seen = (response) => ({ status: response.status, body: response.body })

async function main () {
  const client = await sdk.init(organization, apiKey, accessToken)
  const listed = await client.getAllProfiles({ lineCount: 2 })
  const key = listed.body.content[0].PKey
  const got = await client.getProfile(key)
  const updated = await client.updateProfile(key, { ccpaOptOut: true })
  const created = await client.createProfile({ email: 'made.up@example.com' })
  const failures = {}
  for (const [name, arguments_] of Object.entries({
    token: [organization, apiKey, 'wrong'],
    key: [organization, 'wrong', accessToken],
    organization: ['wrong', apiKey, accessToken]
  })) {
    const stranger = await sdk.init(...arguments_)
    failures[name] = await stranger.getProfile(key).then(() => 'no error', (error) => error.message)
  }
  failures.gibberish = await client.updateProfile('@gibberish', { ccpaOptOut: true })
    .then(() => 'no error', (error) => error.message)
  console.log(JSON.stringify({
    key,
    listed: seen(listed),
    got: seen(got),
    updated: seen(updated),
    created: seen(created),
    failures
  }))
}

main()
