Feature: Data flow
  The order in which input, output and export are transformed and checked, for tasks and for the workflow.

  Scenario Outline: Transformations of one task
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - task: <task>
    """
    And given the workflow input is:
    """yaml
    { user: { name: Ada, age: 36 }, list: [1, 2, 3] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    <output>
    """

    Examples:
      | why                                    | task                                                                                     | output                                         |
      | input.from narrows                     | { input: { from: .user }, set: { n: '${ .name }' } }                                     | { n: Ada }                                     |
      | input.from with braces                 | { input: { from: '${ .user }' }, set: { n: '${ .name }' } }                              | { n: Ada }                                     |
      | input.from as an object                | { input: { from: { who: '${ .user.name }', is: fixed } }, set: '${ . }' }                | { who: Ada, is: fixed }                        |
      | input.from makes a scalar              | { input: { from: '.list \| length' }, set: { n: '${ . }' } }                             | { n: 3 }                                       |
      | $input is the transformed input        | { input: { from: .user }, set: { n: '${ $input.name }' } }                               | { n: Ada }                                     |
      | output.as on the raw output            | { set: { a: 1, b: 2 }, output: { as: .b } }                                              | 2                                              |
      | output.as sees the transformed input   | { input: { from: .user }, set: { a: 1 }, output: { as: '${ { a, who: $input.name } }' } } | { a: 1, who: Ada }                             |
      | output.as as an object                 | { set: { a: 1 }, output: { as: { wrapped: '${ .a }', kind: x } } }                       | { wrapped: 1, kind: x }                        |
      | output.as sees the task's raw input    | { input: { from: .user }, set: { a: 1 }, output: { as: '$task.input.list' } }            | [1, 2, 3]                                      |
      | output.as sees the task's raw output   | { set: { a: 1 }, output: { as: '$task.output' } }                                        | { a: 1 }                                       |
      | the definition of the task             | { set: { a: 1 }, output: { as: '$task.definition.set.a' } }                              | 1                                              |
      | the name of the task                   | { set: { a: '${ $task.name }' } }                                                        | { a: task }                                    |
      | the reference of the task              | { set: { a: '${ $task.reference }' } }                                                   | { a: /do/0/task }                              |

  Scenario: The transformed output is the next task's raw input
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - first: { set: { a: { deep: 5 } }, output: { as: .a } }
      - second: { set: { got: '${ .deep }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    got: 5
    """

  Scenario: The workflow's input.from makes the first task's input
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    input: { from: .order }
    do:
      - first: { set: { id: '${ .id }', raw: '${ $workflow.input.order.id }' } }
    """
    And given the workflow input is:
    """yaml
    order: { id: 42 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { id: 42, raw: 42 }
    """

  Scenario: The workflow's output.as makes the workflow's output
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - first: { set: { id: 1, rest: 2 }, export: { as: '${ { kept: .rest } }' } }
    output: { as: '${ { id, kept: $context.kept } }' }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { id: 1, kept: 2 }
    """

  Scenario Outline: A schema that does not hold is a validation error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - before: { set: { n: text } }
      - task: <task>
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://serverlessworkflow.io/spec/1.0.0/errors/validation
    status: 400
    instance: /do/1/task
    """

    Examples:
      | why                                     | task                                                                                                                      |
      | input.schema on the raw input           | { input: { schema: { document: { type: object, properties: { n: { type: integer } } } } }, set: { a: 1 } }                |
      | input.schema before input.from          | { input: { schema: { document: { type: string } }, from: .n }, set: { a: 1 } }                                            |
      | output.schema after output.as           | { set: { a: 1 }, output: { as: .a, schema: { document: { type: string } } } }                                             |
      | export.schema after export.as           | { set: { a: 1 }, export: { as: .a, schema: { document: { type: object } } } }                                             |
      | with the format named                   | { set: { a: 1 }, output: { schema: { format: json, document: { required: [b] } } } }                                      |

  Scenario Outline: A schema that holds changes nothing
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - before: { set: { n: 1 } }
      - task: <task>
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    <output>
    """

    Examples:
      | why                                    | task                                                                                                           | output   |
      | input.schema is of the raw input       | { input: { schema: { document: { type: object } }, from: .n }, set: { a: '${ . }' } }                          | { a: 1 } |
      | output.schema is of the transformed    | { set: { a: 1 }, output: { as: .a, schema: { document: { type: integer } } } }                                 | 1        |
      | export.schema is of the context        | { set: { a: 1 }, export: { as: '.a', schema: { document: { type: integer } } }, output: { as: . } }            | { a: 1 } |

  Scenario Outline: The workflow's own schemas
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    <part>
    do:
      - task: { set: { a: 1 } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://serverlessworkflow.io/spec/1.0.0/errors/validation
    status: 400
    """

    Examples:
      | why           | part                                                                                  |
      | of the input  | input: { schema: { document: { type: object, required: [user] } } }                   |
      | of the output | output: { as: '.a', schema: { document: { type: string } } }                          |

  Scenario: A skipped task passes its raw input on
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - first: { set: { a: 1 } }
      - skipped: { if: '.a == 2', input: { from: .nothing }, set: { b: 2 }, output: { as: .b }, export: { as: '${ { lost: true } }' } }
      - last: { set: { a: '${ .a }', context: '${ $context }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { a: 1, context: {} }
    """
    And skipped should not run

  Scenario: The condition sees the raw input
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - first: { set: { a: { b: 1 } } }
      - task: { if: '${ .a.b == 1 }', input: { from: .a }, set: { got: '${ .b }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    got: 1
    """
