Feature: Call over HTTP
  What the runtime itself asks another system.

  Scenario: The content is the output
    Given the service answers 'GET /a' with:
    """yaml
    {"n": 1}
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: http, version: '1.0.0' }
    do:
      - ask: { call: http, with: { method: get, endpoint: 'http://service.test/a' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { n: 1 }
    """

  Scenario: A template takes the members of the input
    Given the service answers 'GET /x%20y/b' with:
    """yaml
    [1]
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: http, version: '1.0.0' }
    do:
      - ask: { call: http, with: { method: get, endpoint: 'http://service.test/{name}/b' } }
    """
    And given the workflow input is:
    """yaml
    { name: x y }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    [1]
    """

  Scenario: An endpoint may be an expression
    Given the service answers 'GET /c' with:
    """yaml
    "c"
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: http, version: '1.0.0' }
    do:
      - ask: { call: http, with: { method: get, endpoint: '${ "http://service.test/\(.name)" }' } }
    """
    And given the workflow input is:
    """yaml
    { name: c }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    c
    """

  Scenario: A query is appended
    Given the service answers 'GET /a?q=x%26y&r=1' with:
    """yaml
    true
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: http, version: '1.0.0' }
    do:
      - ask: { call: http, with: { method: get, endpoint: 'http://service.test/a', query: { q: '${ .q }', r: '1' } } }
    """
    And given the workflow input is:
    """yaml
    { q: x&y }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    true
    """

  Scenario: A response has status and content
    Given the service answers 'GET /a' with:
    """yaml
    {"n": 1}
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: http, version: '1.0.0' }
    do:
      - ask:
          call: http
          with: { method: get, endpoint: 'http://service.test/a', output: response }
          output: { as: '{ status: .statusCode, content }' }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { status: 200, content: { n: 1 } }
    """

  Scenario: Raw content is base64
    Given the service answers 'GET /a' with:
    """yaml
    {"n": 1}
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: http, version: '1.0.0' }
    do:
      - ask: { call: http, with: { method: get, endpoint: 'http://service.test/a', output: raw } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    eyJuIjogMX0=
    """

  Scenario: A body is sent
    Given the service answers 'POST /a' with:
    """yaml
    {"taken": true}
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: http, version: '1.0.0' }
    do:
      - ask: { call: http, with: { method: post, endpoint: 'http://service.test/a', body: { m: '${ .m }' } } }
    """
    And given the workflow input is:
    """yaml
    { m: 2 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { taken: true }
    """

  Scenario: A status that says no is a communication error
    Given the service answers 'GET /a' with status 503
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: http, version: '1.0.0' }
    do:
      - ask: { call: http, with: { method: get, endpoint: 'http://service.test/a' } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/communication', status: 503, instance: /do/0/ask }
    """

  Scenario: An error of a call is caught by its status
    Given the service answers 'GET /b' with:
    """yaml
    1
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: http, version: '1.0.0' }
    do:
      - patient:
          try:
            - ask: { call: http, with: { method: get, endpoint: 'http://service.test/a' } }
          catch:
            errors: { with: { status: 404 } }
            as: problem
            do:
              - note: { set: { missing: '${ $problem.status }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { missing: 404 }
    """

  Scenario: Where nobody approved to call is refused
    Given the service answers 'GET /a' with:
    """yaml
    1
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: http, version: '1.0.0' }
    do:
      - ask: { call: http, with: { method: get, endpoint: 'http://elsewhere.test/a' } }
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention 'elsewhere.test'
