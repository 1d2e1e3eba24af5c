Feature: Calls of public services
  A pet store and an echo in the wide world: plain HTTP calls, their three outputs, credentials, OpenAPI documents, errors.
  Every step of the official vocabulary is used here at least once.

  Scenario: The content of an answer is the output
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: call
      version: '1.0.0'
    do:
      - findPets:
          call: http
          with:
            method: get
            endpoint:
              uri: https://petstore.swagger.io/v2/pet/findByStatus?status={status}
      - count:
          set:
            pets: ${ . }
            statuses: ${ [.[].status] | unique }
    """
    And given the workflow input is:
    """yaml
    status: sold
    """
    When the workflow is executed
    Then the workflow should complete
    And the workflow output should have a 'pets' property containing 3 items
    And the workflow output should have a 'statuses' property with value:
    """yaml
    [ sold ]
    """
    And the workflow output should have properties 'pets[0].name', 'pets.1.category.name'
    And findPets should run first
    And findPets should run before count
    And count should run after findPets
    And count should run last

  Scenario: A response has its request, status, headers and content
    Given a workflow with definition:
    """json
    {
    	"document": { "dsl": "1.0.3", "namespace": "default", "name": "call", "version": "1.0.0" },
    	"do": [
    		{ "getPet": { "call": "http", "with": { "method": "get", "output": "response",
    			"endpoint": { "uri": "https://petstore.swagger.io/v2/pet/{petId}" } } } }
    	]
    }
    """
    And given the workflow input is:
    """json
    { "petId": 7 }
    """
    When the workflow is executed
    Then the workflow should complete
    And the workflow output should have properties 'request', 'request.method', 'request.uri', 'request.headers', 'headers', 'statusCode', 'content'
    And the workflow output should have properties 'content.id', 'content.name', 'content.status'
    And the workflow output should have a 'statusCode' property with value:
    """yaml
    200
    """
    And the workflow output should have a 'content.id' property

  Scenario: A raw answer is base64
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: call, version: '1.0.0' }
    do:
      - inventory:
          call: http
          with: { method: get, endpoint: 'https://petstore.swagger.io/v2/store/inventory', output: raw }
      - show: { set: { inventory: '${ . | @base64d | fromjson }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    inventory: { available: 3, pending: 1, sold: 0 }
    """

  Scenario: A body is sent and comes back
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: call, version: '1.0.0' }
    do:
      - add:
          call: http
          with:
            method: post
            endpoint: https://petstore.swagger.io/v2/pet
            headers: { content-type: application/json }
            body: { id: 12, name: '${ .name }', photoUrls: [] }
          output: { as: '{ id, name }' }
    """
    And given the workflow input is:
    """yaml
    name: Idefix
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { id: 12, name: Idefix }
    """
    And add should complete with output:
    """yaml
    { id: 12.0, name: Idefix }
    """

  Scenario Outline: Operations of an OpenAPI document
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: call, version: '1.0.0' }
    do:
      - ask:
          call: openapi
          with:
            document: { endpoint: '<document>' }
            operationId: <operation>
            parameters: <parameters>
          output: { as: '<as>' }
    """
    And given the workflow input is:
    """yaml
    { petId: 3, status: pending }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    <output>
    """

    Examples:
      | document                                        | operation         | parameters                        | as            | output               |
      | https://petstore.swagger.io/v2/swagger.json     | getPetById        | { petId: '${ .petId }' }          | .id           | 3                    |
      | https://petstore.swagger.io/v2/swagger.json     | findPetsByStatus  | { status: '${ .status }' }        | [.[].status]  | [pending, pending, pending] |
      | https://petstore.swagger.io/v2/swagger.json     | addPet            | { body: { id: 1, name: Rex } }    | .name         | Rex                  |
      | https://petstore.swagger.io/v2/swagger.json     | getInventory      | {}                                | .available    | 3                    |
      | https://petstore3.swagger.io/api/v3/openapi.json | getPetById       | { petId: 4 }                      | .id           | 4                    |
      | https://petstore3.swagger.io/api/v3/openapi.json | findPetsByStatus | { status: sold }                  | length        | 3                    |
      | https://petstore3.swagger.io/api/v3/openapi.json | addPet           | { body: { id: 2, name: Rex } }    | .id           | 2                    |

  Scenario Outline: Credentials
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: call, version: '1.0.0' }
    do:
      - secured:
          call: http
          with:
            method: get
            endpoint:
              uri: <uri>
              authentication: <authentication>
    """
    And given the workflow input is:
    """yaml
    { username: serverless-workflow, password: conformance-test, token: abc }
    """
    When the workflow is executed
    Then the workflow should complete
    And the workflow output should have a 'authenticated' property with value:
    """yaml
    true
    """

    Examples:
      | why              | uri                                                         | authentication                                                               |
      | basic            | 'https://httpbin.org/basic-auth/{username}/{password}'      | { basic: { username: '${ .username }', password: '${ .password }' } }        |
      | basic, literally | https://www.httpbin.org/basic-auth/a/b                      | { basic: { username: a, password: b } }                                      |
      | bearer           | https://httpbin.org/bearer                                  | { bearer: { token: '${ .token }' } }                                         |

  Scenario: A credential that is refused is an error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: call, version: '1.0.0' }
    do:
      - secured:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/basic-auth/a/b
              authentication: { basic: { username: a, password: c } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://serverlessworkflow.io/spec/1.0.0/errors/communication
    status: 401
    """
    And secured should fault

  Scenario: An error that is caught can be used
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - tryGetPet:
          try:
            - getPet:
                call: http
                with:
                  method: get
                  endpoint: { uri: 'https://petstore.swagger.io/v2/pet/getPetByName/{petName}' }
          catch:
            errors:
              with:
                type: https://serverlessworkflow.io/dsl/errors/types/communication
                status: 404
            as: err
            do:
              - handle: { set: { error: '${ $err | del(.detail) }' } }
    """
    And given the workflow input is:
    """yaml
    petName: Milou
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    error:
      type: https://serverlessworkflow.io/dsl/errors/types/communication
      status: 404
      title: Not Found
      instance: /do/0/tryGetPet/try/0/getPet
    """
    And getPet should fault with error:
    """yaml
    type: https://serverlessworkflow.io/spec/1.0.0/errors/communication
    status: 404
    instance: /do/0/tryGetPet/try/0/getPet
    """
    And tryGetPet should complete
    And handle should run after getPet

  Scenario: An error that is not caught ends the workflow
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: try, version: '1.0.0' }
    do:
      - tryGetPet:
          try:
            - getPet:
                call: http
                with:
                  method: get
                  endpoint: { uri: 'https://petstore.swagger.io/v2/pet/getPetByName/{petName}' }
          catch:
            errors:
              with:
                type: https://serverlessworkflow.io/dsl/errors/types/communication
                status: 503
    """
    And given the workflow input is:
    """yaml
    petName: Milou
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://serverlessworkflow.io/dsl/errors/types/communication
    status: 404
    title: Not Found
    instance: /do/0/tryGetPet/try/0/getPet
    """
    And tryGetPet should fault
