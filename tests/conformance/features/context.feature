Feature: Context and descriptors
  What `export` keeps, and what the arguments of an expression tell.

  Scenario: The result of export replaces the context
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: context, version: '1.0.0' }
    do:
      - first: { set: { a: 1 }, export: { as: '${ { a: .a } }' } }
      - second: { set: { b: 2 }, export: { as: '${ { b: .b } }' } }
      - third: { set: { context: '${ $context }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    context: { b: 2 }
    """

  Scenario: Export adds to the context when it says so
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: context, version: '1.0.0' }
    do:
      - first: { set: { a: 1 }, export: { as: '$context + { a: .a }' } }
      - second: { set: { b: 2 }, export: { as: '$context + { b: .b }' } }
      - third: { set: { context: '${ $context }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    context: { a: 1, b: 2 }
    """

  Scenario Outline: What export sees
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: context, version: '1.0.0' }
    do:
      - before: { set: { x: 9 } }
      - task: { input: { from: '${ { n: .x } }' }, set: { a: 1, b: 2 }, output: { as: .b }, export: { as: '<export>' } }
      - show: { set: '${ { context: $context } }' }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    context: <context>
    """

    Examples:
      | why                          | export                      | context         |
      | the transformed output       | ${ . }                      | 2               |
      | the same as $output          | ${ $output }                | 2               |
      | the transformed input        | ${ $input }                 | { n: 9 }        |
      | the raw input of the task    | ${ $task.input }            | { x: 9 }        |
      | the raw output of the task   | ${ $task.output }           | { a: 1, b: 2 }  |
      | the context before           | ${ $context }               | {}              |

  Scenario: The context is empty at first and not the input
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: context, version: '1.0.0' }
    do:
      - show: { set: { context: '${ $context }' } }
    """
    And given the workflow input is:
    """yaml
    a: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    context: {}
    """

  Scenario Outline: Descriptors of the workflow and the runtime
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: context, version: '1.2.3' }
    do:
      - show: { set: { value: '<expression>' } }
    """
    And given the workflow input is:
    """yaml
    a: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    value: <value>
    """

    Examples:
      | why                          | expression                                                                         | value       |
      | its id is a text             | ${ $workflow.id \| type }                                                          | string      |
      | its raw input                | ${ $workflow.input }                                                               | { a: 1 }    |
      | its version                  | ${ $workflow.definition.document.version }                                         | 1.2.3       |
      | its start in ISO 8601        | ${ $workflow.startedAt.iso8601 \| test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T") }           | true        |
      | its start in seconds         | ${ $workflow.startedAt.epoch.seconds \| type }                                     | number      |
      | its start in milliseconds    | ${ ($workflow.startedAt.epoch.milliseconds / 1000 \| floor) == $workflow.startedAt.epoch.seconds } | true |
      | the runtime has a name       | ${ $runtime.name \| type }                                                         | string      |
      | the runtime has a version    | ${ $runtime.version \| type }                                                      | string      |
      | the task started             | ${ $task.startedAt.epoch.milliseconds >= $workflow.startedAt.epoch.milliseconds }  | true        |

  Scenario: A context made inside a list is seen after it
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: context, version: '1.0.0' }
    do:
      - outer:
          do:
            - inner: { set: { a: 1 }, export: { as: '${ { inner: .a } }' } }
      - show: { set: { context: '${ $context }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    context: { inner: 1 }
    """

  Scenario: A document describes itself
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: context
      version: '1.2.3'
      title: A title
      summary: '**What** it does'
      tags: { team: kit }
      metadata: { anything: [1, { b: 2 }] }
    do:
      - show: { set: { document: '${ $workflow.definition.document | { title, summary, tags, metadata } }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    document: { title: A title, summary: '**What** it does', tags: { team: kit }, metadata: { anything: [1, { b: 2 }] } }
    """
