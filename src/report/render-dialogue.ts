/** @file A conversation as roles one below the other. What the model drew, and is trained on, has a bar at its side and says so. */
import { count } from '../util/words.ts';
import { type Html, html } from './html.ts';
import type { Remark, SampledDialogue } from './sample-dialogue.ts';

export function renderDialogue({ remarks, leftOut }: SampledDialogue): Html {
  const middle = Math.ceil(remarks.length / 2);
  return html`<div class="text whole"><h4>Conversation</h4><ol class="dialogue">${remarks.slice(0, middle).map(renderRemark)}${leftOut > 0 && html`<li class="muted">${count(leftOut, 'message')} left out</li>`}${remarks.slice(middle).map(renderRemark)}</ol></div>`;
}

function renderRemark({ role, speaker, reasoning, content, calls, drawn, isHeard, isFailure }: Remark): Html {
  const notes = [drawn !== null && `${count(drawn, 'token')} drawn and trained on`, isHeard && 'heard by the environment'].filter((note) => note !== false);
  const isSilent = content === '' && calls.length === 0;
  return html`<li class="${role === 'assistant' ? 'drawn' : 'told'}"><h5${isFailure && html` class="bad"`}><bdi>${speaker}</bdi>${notes.length > 0 && html` <span class="muted">${notes.join(', ')}</span>`}</h5>${reasoning !== '' && html`<pre dir="auto" class="reasoning">${reasoning}</pre>`}${
    (content !== '' || isSilent) && html`<pre dir="auto"${role === 'assistant' && html` class="completion"`}>${content === '' ? '(empty)' : content}</pre>`}${calls.map((call) => html`<pre dir="auto" class="call">${call}</pre>`)}</li>`;
}
