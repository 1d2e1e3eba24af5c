Feature: External documents
  Schemas, functions and scripts that stand in files of their own.

  Scenario: A schema in a document is checked
    Given the document 'schemas/in.json' is:
    """yaml
    { "type": "object", "required": ["n"] }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: documents, version: '1.0.0' }
    input: { schema: { resource: { endpoint: schemas/in.json } } }
    do:
      - done: { set: { ok: true } }
    """
    And given the workflow input is:
    """yaml
    { n: 1 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { ok: true }
    """

  Scenario: What does not conform to it is a validation error
    Given the document 'in.yaml' is:
    """yaml
    type: object
    required: [n]
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: documents, version: '1.0.0' }
    input: { schema: { resource: { endpoint: in.yaml } } }
    do:
      - done: { set: { ok: true } }
    """
    And given the workflow input is:
    """yaml
    { m: 1 }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/validation', status: 400 }
    """

  Scenario: A function in a document is called
    Given the document 'functions/double.yaml' is:
    """yaml
    set: { n: '${ .n * 2 }' }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: documents, version: '1.0.0' }
    do:
      - twice: { call: ./functions/double.yaml, with: { n: '${ .n }' } }
    """
    And given the workflow input is:
    """yaml
    { n: 4 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { n: 8 }
    """

  Scenario: What a document names is relative to itself
    Given the document 'functions/double.yaml' is:
    """yaml
    input: { schema: { resource: { endpoint: n.yaml } } }
    set: { n: '${ .n * 2 }' }
    """
    And the document 'functions/n.yaml' is:
    """yaml
    properties: { n: { type: integer } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: documents, version: '1.0.0' }
    do:
      - twice: { call: ./functions/double.yaml, with: { n: '${ .n }' } }
    """
    And given the workflow input is:
    """yaml
    { n: x }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/validation', status: 400 }
    """

  Scenario: A catalog holds functions by name and version
    Given the document 'catalog/functions/double/1.0.0/function.yaml' is:
    """yaml
    set: { n: '${ .n * 2 }' }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: documents, version: '1.0.0' }
    use: { catalogs: { ours: { endpoint: catalog } } }
    do:
      - twice: { call: 'double:1.0.0@ours', with: { n: '${ .n }' } }
    """
    And given the workflow input is:
    """yaml
    { n: 4 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { n: 8 }
    """

  Scenario: Another version is not there
    Given the document 'catalog/functions/double/1.0.0/function.yaml' is:
    """yaml
    set: { n: 1 }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: documents, version: '1.0.0' }
    use: { catalogs: { ours: { endpoint: catalog } } }
    do:
      - twice: { call: 'double:2.0.0@ours' }
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention 'catalog/functions/double/2.0.0/function.yaml'

  Scenario: A document outside of the folder is refused
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: documents, version: '1.0.0' }
    do:
      - out: { call: ../double.yaml }
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention 'leads out of the folder'

  Scenario: What is wrong in a document is said with its place
    Given the document 'double.yaml' is:
    """yaml
    set: { n: '${ ( }' }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: documents, version: '1.0.0' }
    do:
      - twice: { call: ./double.yaml }
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention 'double.yaml:1:11'

  Scenario: A catalog may be on the network
    Given the service answers 'GET /functions/one/1.0.0/function.yaml' with:
    """yaml
    { set: { one: 1 } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: documents, version: '1.0.0' }
    use: { catalogs: { net: { endpoint: 'http://service.test' } } }
    do:
      - one: { call: 'one:1.0.0@net' }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { one: 1 }
    """

  Scenario: A function from the network gets no power of the host
    Given the service answers 'GET /f.yaml' with:
    """yaml
    { ask: { prompt: Publish? } }
    """
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: documents, version: '1.0.0' }
    do:
      - one: { call: 'http://service.test/f.yaml' }
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention 'may not ask a person'
