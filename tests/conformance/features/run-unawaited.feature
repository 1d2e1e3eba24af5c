@own
Feature: Processes that nobody waits for
  `await: false` of a command or a script: it starts, and the flow goes on with the input of the task.

  Scenario Outline: The task gives its input at once
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: unawaited
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - leave: { run: { <process>, await: false, return: stdout } }
      - after: { set: { still: '${ .word }' } }
    """
    And given the workflow input is:
    """yaml
    { word: here }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    still: here
    """
    And leave should run before after

    Examples:
      | why       | process                                                                      |
      | a command | shell: { command: echo, arguments: [ '${ .word }' ] }                        |
      | a script  | script: { language: sh, code: 'printf "$WORD"', environment: { WORD: '${ .word }' } } |
      | a failure | script: { language: sh, code: 'exit 3' }                                     |

  Scenario: What it is given is evaluated by the task
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: default
      name: unawaited
      version: '1.0.0'
      metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
    do:
      - leave: { run: { shell: { command: echo, arguments: [ '${ .nothing }' ] }, await: false } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/expression', status: 400, instance: /do/0/leave }
    """
