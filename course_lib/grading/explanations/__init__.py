"""From a wrong answer to the sentence that names the mistake."""
