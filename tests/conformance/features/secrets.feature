Feature: Secrets
  `$secrets` names a secret of `use.secrets` where its value goes straight to whom it is for, and is no value of an expression.

  Scenario Outline: A credential of a call
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: secrets, version: '1.0.0' }
    use:
      secrets: [pass, other-pass]
    do:
      - secured:
          call: http
          with:
            method: get
            endpoint:
              uri: <uri>
              authentication: { <authentication> }
          output: { as: .authenticated }
    """
    And given the runtime has the secret 'pass' with:
    """
    correct-horse-9
    """
    And given the runtime has the secret 'other-pass' with:
    """
    ann-of-the-house
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    true
    """

    Examples:
      | why                        | uri                                                             | authentication                                                                          |
      | a token                    | https://httpbin.org/bearer                                      | bearer: { token: '${ $secrets.pass }' }                                                 |
      | a password, and a name     | https://httpbin.org/basic-auth/ann/correct-horse-9              | basic: { username: ann, password: '${ $secrets.pass }' }                                |
      | a name in quotes           | https://httpbin.org/basic-auth/ann-of-the-house/correct-horse-9 | basic: { username: '${ $secrets["other-pass"] }', password: '${ $secrets["pass"] }' }   |
      | a digest                   | https://httpbin.org/digest-auth/auth/ann/x                      | digest: { username: ann, password: '${ $secrets.pass }' }                               |
      | a client's secret          | https://httpbin.org/bearer                                      | oauth2: { authority: 'https://identity.example/client_id=c&client_secret=correct-horse-9', grant: client_credentials, client: { id: c, secret: '${ $secrets.pass }' } } |
      | a person's password        | https://httpbin.org/bearer                                      | oauth2: { authority: 'https://identity.example/username=ann&password=correct-horse-9', grant: password, client: { id: c, secret: s }, username: ann, password: '${ $secrets.pass }' } |

  @own
  Scenario: A variable of a process
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: secrets
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: per-task, template: rust-release, reason: a secret } } } }
    use:
      secrets: [pass]
    do:
      - compare:
          run:
            shell:
              command: test "$GIVEN" = correct-horse-9 && printf "$PLAIN"
              environment: { GIVEN: '${ $secrets.pass }', PLAIN: '${ .plain }' }
            return: stdout
    """
    And given the runtime has the secret 'pass' with:
    """
    correct-horse-9
    """
    And given the workflow input is:
    """yaml
    { plain: equal }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    equal
    """

  Scenario Outline: Where no secret may be named
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: secrets, version: '1.0.0' }
    use: { secrets: [pass] }
    do:
      - task: { <task> }
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention '<word>'

    Examples:
      | why                            | word                | task                                                                                                                         |
      | a value that is kept           | not available here  | set: { x: '${ $secrets.pass }' }                                                                                             |
      | a condition                    | not available here  | set: { x: 1 }, if: '${ $secrets.pass != null }'                                                                              |
      | a header                       | not available here  | call: http, with: { method: get, endpoint: 'https://httpbin.org/get', headers: { x-key: '${ $secrets.pass }' } }             |
      | a body                         | not available here  | call: http, with: { method: post, endpoint: 'https://httpbin.org/post', body: { key: '${ $secrets.pass }' } }                |
      | an argument of a process       | not available here  | run: { shell: { command: ls, arguments: ['${ $secrets.pass }'] } }                                                           |
      | a part of an expression        | not available here  | call: http, with: { method: get, endpoint: { uri: 'https://httpbin.org/get', authentication: { bearer: { token: '${ $secrets.pass + "x" }' } } } } |
      | one that is not listed         | use.secrets         | call: http, with: { method: get, endpoint: { uri: 'https://httpbin.org/get', authentication: { bearer: { token: '${ $secrets.other }' } } } } |
      | a sandbox that is shared       | fresh sandbox       | run: { shell: { command: ls, environment: { A: '${ $secrets.pass }' } } }                                                    |
