{# Fails with every key of the model that is null in part, or on more than one row. #}
{% test primary_key(model, columns) %} {{ broken_keys(model, columns) }} {% endtest %}
