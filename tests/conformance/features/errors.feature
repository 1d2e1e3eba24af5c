Feature: Errors
  What raises which error, and what an error carries.

  Scenario Outline: A raised error ends the workflow with all its parts
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: errors, version: '1.0.0' }
    do:
      - fail: { raise: { error: <error> } }
    """
    And given the workflow input is:
    """yaml
    what: paint
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    <expected>
    """
    And fail should fault

    Examples:
      | why                        | error                                                                                              | expected                                                                                              |
      | a type of its own          | { type: 'https://example.com/errors/out-of-paint', status: 418, title: Out of paint }              | { type: 'https://example.com/errors/out-of-paint', status: 418, title: Out of paint, instance: /do/0/fail } |
      | with a detail              | { type: 'https://example.com/errors/x', status: 500, title: X, detail: all of it }                 | { status: 500, title: X, detail: all of it }                                                          |
      | expressions in it          | { type: 'https://example.com/errors/x', status: 500, title: '${ "No \\(.what)" }', detail: '${ .what }' } | { title: No paint, detail: paint }                                                             |
      | a standard type            | { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout', status: 408 }                   | { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout', status: 408 }                      |
      | the type's newer spelling  | { type: 'https://open-workflow-specification.org/spec/1.0.0/errors/timeout', status: 408 }         | { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout', status: 408 }                      |

  Scenario: An error that is defined once is raised by its name
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: errors, version: '1.0.0' }
    use:
      errors:
        notFound: { type: 'https://example.com/errors/not-found', status: 404, title: Not found }
    do:
      - fail: { raise: { error: notFound } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://example.com/errors/not-found', status: 404, title: Not found, instance: /do/0/fail }
    """

  Scenario: The instance of an error is the pointer to its task
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: errors, version: '1.0.0' }
    do:
      - outer:
          do:
            - before: { set: { a: 1 } }
            - fail: { raise: { error: { type: 'https://example.com/errors/x', status: 500 } } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    instance: /do/0/outer/do/1/fail
    """

  Scenario Outline: An expression that fails is an expression error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: errors, version: '1.0.0' }
    do:
      - first: { set: { text: abc, n: 1 } }
      - task: <task>
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/expression', status: 400, instance: /do/1/task }
    """

    Examples:
      | why          | task                                                           |
      | in a value   | { set: { a: '${ .text + .n }' } }                              |
      | in input     | { input: { from: '.text.a' }, set: { a: 1 } }                  |
      | in output    | { set: { a: 1 }, output: { as: '.a.b' } }                      |
      | in export    | { set: { a: 1 }, export: { as: '.a.b' } }                      |
      | in if        | { if: '.text.a', set: { a: 1 } }                               |
      | in when      | { switch: [ { a: { when: '.text.a', then: end } } ] }          |
      | its own word | { set: { a: '${ error("no") }' } }                             |

  Scenario: Nothing runs after an error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: errors, version: '1.0.0' }
    do:
      - fail: { raise: { error: { type: 'https://example.com/errors/x', status: 500 } } }
      - after: { set: { a: 1 } }
    """
    When the workflow is executed
    Then the workflow should fault
    And fail should run last
    And after should not run

  Scenario: An error can say itself where it comes from
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: errors, version: '1.0.0' }
    do:
      - fail: { raise: { error: { type: 'https://example.com/errors/x', status: 500, instance: /elsewhere } } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { status: 500, instance: /elsewhere }
    """
