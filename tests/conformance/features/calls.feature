Feature: Calls of every protocol
  OpenAPI, gRPC, A2A and MCP, and credentials of every kind.

  Scenario Outline: Credentials that are exchanged for a token
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: calls, version: '1.0.0' }
    do:
      - secured:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/bearer
              authentication: { <kind>: { authority: 'https://identity.example/<sends>', <fields> } }
          output: { as: .authenticated }
    """
    And given the workflow input is:
    """yaml
    { username: ann, subject: t-1 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    true
    """

    Examples:
      | why                        | kind   | sends                                                       | fields                                                                                                     |
      | client and secret          | oauth2 | grant_type=client_credentials&client_id=c&client_secret=s   | grant: client_credentials, client: { id: c, secret: s }                                                    |
      | the secret as basic        | oauth2 | authorization=Basic+Yzpz                                    | grant: client_credentials, client: { id: c, secret: s, authentication: client_secret_basic }               |
      | no authentication          | oauth2 | client_id=c                                                 | grant: client_credentials, client: { id: c, authentication: none }                                         |
      | scopes and audiences       | oauth2 | scope=read+write&audience=api                               | grant: client_credentials, client: { id: c, secret: s }, scopes: [read, write], audiences: [api]           |
      | a person's password        | oauth2 | grant_type=password&username=ann&password=p                 | grant: password, username: '${ .username }', password: p, client: { id: c, secret: s }                     |
      | a request in JSON          | oauth2 | grant_type=client_credentials                               | grant: client_credentials, client: { id: c, secret: s }, request: { encoding: application/json }           |
      | an assertion               | oauth2 | client_assertion=a.b.c                                      | grant: client_credentials, client: { id: c, assertion: a.b.c, authentication: private_key_jwt }            |
      | another token endpoint     | oauth2 | client_id=c                                                 | grant: client_credentials, client: { id: c, secret: s }, endpoints: { token: /oauth2/other, revocation: /oauth2/revoke, introspection: /oauth2/introspect } |
      | an exchange of tokens      | oauth2 | subject_token=t-1&actor_token=t-2                           | grant: 'urn:ietf:params:oauth:grant-type:token-exchange', client: { id: c, secret: s }, subject: { token: '${ .subject }', type: 'urn:ietf:params:oauth:token-type:access_token' }, actor: { token: t-2, type: 'urn:ietf:params:oauth:token-type:access_token' } |
      | issuers                    | oidc   | client_id=c                                                 | grant: client_credentials, client: { id: c, secret: s }, issuers: ['https://identity.example/client_id=c'] |

  Scenario: A digest of a password
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: calls, version: '1.0.0' }
    do:
      - secured:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/digest-auth/auth/ann/secret
              authentication: { digest: { username: ann, password: secret } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { authenticated: true, user: ann }
    """

  Scenario: An operation of OpenAPI with a credential, and its whole response
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: calls, version: '1.0.0' }
    do:
      - look:
          call: openapi
          with:
            document: { name: secured, endpoint: 'https://documents.example/secured.json' }
            operationId: look
            authentication: { bearer: { token: abc } }
            output: response
            redirect: true
    """
    When the workflow is executed
    Then the workflow should complete
    And the workflow output should have a 'statusCode' property with value:
    """yaml
    200
    """
    And the workflow output should have a 'content.authenticated' property with value:
    """yaml
    true
    """

  Scenario: A method of gRPC with a credential
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: calls, version: '1.0.0' }
    do:
      - greet:
          call: grpc
          with:
            proto: { endpoint: 'https://documents.example/greet.proto' }
            service: { name: greet.Greeter, host: greeter.example, port: 443, authentication: { bearer: { token: abc } } }
            method: Greet
            arguments: { name: Ann }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { text: hello }
    """

  Scenario Outline: An agent is asked
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: calls, version: '1.0.0' }
    do:
      - ask:
          call: a2a
          with: { <agent>, method: message/send, parameters: { message: { text: '${ .text }' } } }
          output: { as: '{ method, parameters }' }
    """
    And given the workflow input is:
    """yaml
    text: hi
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { method: message/send, parameters: { message: { text: hi } } }
    """

    Examples:
      | why         | agent                                                                     |
      | by its card | agentCard: { endpoint: 'https://agent.example/.well-known/agent.json' }   |
      | where it is | server: 'https://agent.example/ask'                                       |

  Scenario: A tool is called over HTTP
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: calls, version: '1.0.0' }
    do:
      - call-tool:
          call: mcp
          with:
            protocolVersion: '2025-06-18'
            method: tools/call
            parameters: { name: add, arguments: { a: '${ .a }' } }
            timeout: { seconds: 20 }
            client: { name: kit, version: 1.0.0, description: of the kit }
            transport: { http: { endpoint: 'https://tools.example/mcp', headers: { x-key: k } } }
    """
    And given the workflow input is:
    """yaml
    a: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { method: tools/call, parameters: { name: add, arguments: { a: 1 } }, key: k }
    """
